import Martlet
import Testing

@testable import MartletFleet

@Suite struct MemberTemplateTests {
    @Test func `A member's name is one name of a file, and no two members share a path`() throws {
        let members = [GroupMember("ssh:a/ssh:b"), GroupMember("local"), GroupMember("..", number: 1)]
        let template = MemberTemplate("x/{host}/{host}")
        let paths = try template.paths(for: members).map { String(decoding: $0, as: UTF8.self) }
        #expect(paths == ["x/ssh:a_ssh:b/ssh:a_ssh:b", "x/local/local", "x/_../_.."] && template.hasPlaces)
        let fixed = MemberTemplate("x")
        #expect(!fixed.hasPlaces)
        #expect(try fixed.paths(for: [members[0]]) == [Array("x".utf8)])
        let error = try #require(throws: MartletError.self) { try fixed.paths(for: members) }
        #expect(error.message == "3 hosts would write to x" && error.advice?.contains("x-{host}") == true)
    }
}
