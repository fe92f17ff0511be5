import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct CommandInputTests {
    private func options(_ input: CommandInput) -> CommandOptions {
        var options = CommandOptions()
        options.input = input
        return options
    }

    @Test func `Without input a command reads nothing`() async throws {
        try await withLocalContext { _, context async throws in
            #expect(try await context.run("cat; echo $?").text == "0\n")
        }
    }

    @Test func `Text, bytes and chunks arrive, and then the end`() async throws {
        try await withLocalContext { _, context async throws in
            #expect(try await context.run("cat", options: options(.text("grüße\n"))).text == "grüße\n")
            #expect(try await context.run("wc -c", options: options(.bytes([0, 255, 10]))).lines == ["3"])
            #expect(try await context.run("cat | wc -c", options: options(.text(""))).lines == ["0"])
            let (stream, feed) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
            let lines = Lines()
            let command = Task {
                try await context.run(
                    "while read -r line; do echo got $line; done; echo end", options: options(.chunks(stream)),
                    onLine: lines.append)
            }
            for word in ["one", "two", "three"] {
                feed.yield(Array("\(word)\n".utf8))
                await eventually { lines.texts.last == "got \(word)" }
            }
            feed.finish()
            #expect(try await command.value.lines == ["got one", "got two", "got three", "end"])
        }
    }

    @Test(arguments: ["true", "exit 3", "exec <&-; sleep 0.2"])
    func `A program that does not read its input does not hang`(command: String) async throws {
        try await withLocalContext { _, context in
            let result = try await context.run(
                command, options: options(.bytes([UInt8](repeating: 1, count: 16 << 20))))
            #expect(result.termination == .exited(command == "exit 3" ? 3 : 0))
            #expect(try await context.run("echo next").lines == ["next"])
        }
    }

    @Test func `A program that cannot be started does not wait for its input`() async throws {
        try await withLocalContext { _, context in
            try await expectError(.commandNotStarted) {
                try await context.run(
                    executable: "no-such-program", options: options(.bytes([UInt8](repeating: 1, count: 16 << 20))))
            }
        }
    }

    @Test func `An input that never comes does not keep a command that has ended`() async throws {
        try await withLocalContext { _, context async throws in
            let (stream, feed) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
            #expect(try await context.run("echo done", options: options(.chunks(stream))).lines == ["done"])
            feed.finish()
        }
    }

    @Test func `An input that fails ends the command with its error`() async throws {
        try await withLocalContext { _, context in
            let (stream, feed) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
            feed.yield(Array("some\n".utf8))
            feed.finish(throwing: PlainError(text: "no more input"))
            let error = await #expect(throws: PlainError.self) {
                try await context.run("cat; sleep 600", options: options(.chunks(stream)))
            }
            #expect(error?.text == "no more input")
        }
    }

    @Test func `A reader that throws ends a command whose input is stuck`() async throws {
        try await withLocalContext { _, context in
            await #expect(throws: PlainError.self) {
                try await context.run(
                    "echo first; sleep 600", options: options(.bytes([UInt8](repeating: 1, count: 16 << 20)))
                ) { _ in throw PlainError(text: "enough") }
            }
            await eventually { ProcessTable.descendants(of: context.processID).filter { $0.name == "sleep" }.isEmpty }
        }
    }

    @Test func `32 MiB through cat and back come whole`() async throws {
        try await withLocalContext { _, context async throws in
            let bytes = pattern(32 << 20)
            var options = options(.bytes(bytes))
            options.outputLimit = 64 << 20
            #expect(try await context.run("cat", options: options).standardOutput == bytes)
        }
    }
}
