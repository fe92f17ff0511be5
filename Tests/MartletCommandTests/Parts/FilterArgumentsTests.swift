import ArgumentParser
import Martlet
import Testing

@testable import MartletCommand

struct FilterArgumentsTests {
    @Test func `Filters count in the order in which they were given`() throws {
        let first = try FilterArguments.parse(["--exclude", "secret.key", "--include", "*.key", "--exclude=*"])
        #expect(first.filters == [.exclude("secret.key"), .include("*.key"), .exclude("*")])
        let second = try FilterArguments.parse(["--include", "*.key", "--exclude", "secret.key"])
        #expect(second.filters == [.include("*.key"), .exclude("secret.key")])
        #expect(throws: (any Error).self) { try FilterArguments.parse(["--exclude", ""]) }
    }
}
