import Martlet
import Testing

@testable import MartletOperations

@Suite struct PromptTests {
    @Test func `Where nobody is to be asked, asking is an error`() async throws {
        let error = try await operationError(.promptAborted) {
            try await abortOnPrompts { try await prompt("Which one?") }
        }
        #expect(error.message == "prompted with: Which one?")
        struct Mine: Error {}
        await #expect(throws: Mine.self) {
            try await withSettings(.abortOnPrompts(), .abort { _ in Mine() }) { try await prompt("Which one?") }
        }
    }

    @Test func `An answer may come from the program`() async throws {
        let answer = try await withSettings(.answerPrompts { "\($0) yes" }) { try await prompt("Really?") }
        #expect(answer == "Really? yes")
        _ = try await operationError(.promptAborted) {
            try await prompt("Really?", .answerPrompts { _ in "yes" }, .abortOnPrompts())
        }
    }
}
