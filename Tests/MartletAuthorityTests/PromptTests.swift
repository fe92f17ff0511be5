import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet

/// A context on the way may ask in the name of programs there: what it says is tamed, and how often it may ask is bounded.
@Suite(.leakChecked) struct PromptTests {
    private final class Responder: PromptResponder {
        private let asked = Mutex<[Prompt]>([])
        var prompts: [Prompt] { asked.withLock { $0 } }
        func answer(_ prompt: Prompt) async throws -> Secret? {
            asked.withLock { $0.append(prompt) }
            return Secret("pw")
        }
    }

    private func prompt(_ text: String, lines: [String] = []) throws -> [UInt8] {
        try CBOREncoder().encode(
            ConnectProgress(
                prompt: Prompt(
                    text: text, lines: lines, kind: .password, isHidden: true,
                    route: Route(steps: ["ssh:bank", "sudo:root"]))))
    }

    @Test func `A prompt has the route that we know, and nothing that moves a cursor`() async throws {
        let responder = Responder()
        try await withScene(.controller) { scene in
            let connect = Task { [context = scene.context] in
                try await context.connect(.sudo(), prompts: responder)
            }
            let frame = try #require(scene.raw.opened(.connect))
            let lines = (1...500).map { "\($0)\u{1b}]0;title\u{7}" + String(repeating: "x", count: 50) }
            scene.raw.answer(
                frame, .data, try prompt("\u{1b}[2JPassword" + String(repeating: "!", count: 5000), lines: lines))
            let answer = try #require(
                scene.raw.next { $0.header.stream == frame.header.stream && $0.header.kind == .data })
            #expect(try CBORDecoder().decode(ConnectAnswer.self, from: answer.payload).answer == Secret("pw"))
            let prompt = try #require(responder.prompts.first)
            #expect(prompt.route == scene.context.route.appending("sudo:root"))
            #expect(!prompt.text.contains("\u{1b}") && prompt.text.count == 500)
            #expect(prompt.lines.count == 20)
            #expect(prompt.lines.allSatisfy { !$0.contains("\u{1b}") && !$0.contains("\u{7}") && $0.count <= 200 })
            connect.cancel()
            _ = try? await connect.value
            scene.checkThatItLives()
        }
    }

    @Test func `Endless questions end the connect`() async throws {
        let responder = Responder()
        try await withScene(.controller) { scene in
            let connect = Task { [context = scene.context] in
                try await context.connect(.sudo(), prompts: responder)
            }
            let frame = try #require(scene.raw.opened(.connect))
            for number in 1...40 { scene.raw.answer(frame, .data, try prompt("\(number)?")) }
            let error = await #expect(throws: MartletError.self) { try await connect.value }
            #expect(error?.message == "there is no end of questions")
            #expect(responder.prompts.count == 16)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `Who was not told that somebody answers gets no answer`() async throws {
        try await withScene(.controller) { scene in
            let connect = Task { [context = scene.context] in try await context.connect(.sudo()) }
            let frame = try #require(scene.raw.opened(.connect))
            scene.raw.answer(frame, .data, try prompt("Password:"))
            scene.raw.answer(
                frame, .end, flags: .last,
                try CBOREncoder().encode(ConnectEnd(failure: MartletError(.connectorFailed, "over"))))
            let error = await #expect(throws: MartletError.self) { try await connect.value }
            #expect(error?.message == "over")
            scene.checkThatItLives()
        }
    }
}
