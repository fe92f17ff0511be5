import Glibc
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct RunningCommandTests {
    /// Reads until what came has `text` in it.
    @discardableResult
    private func read(_ command: RunningCommand, until text: String) async throws -> String {
        var seen = ""
        while !seen.contains(text) {
            switch try await command.next() {
            case .output(let bytes), .error(let bytes): seen += String(decoding: bytes, as: UTF8.self)
            case nil: throw PlainError(text: "it ended with: \(seen)")
            }
        }
        return seen
    }

    @Test func `A started command is written to and read from, in turns, and ends with its result`() async throws {
        try await withLocalContext { _, context in
            let command = try context.start(
                "while read -r line; do echo got $line; echo err >&2; done; echo end; exit 3")
            for word in ["one", "two"] {
                try await command.write(Array("\(word)\n".utf8))
                try await read(command, until: "got \(word)")
            }
            command.finishInput()
            let result = try await command.result()
            #expect(result.lines.last == "end")
            #expect(result.termination == .exited(3))
            #expect(try await command.next() == nil)
            #expect(try await command.result().termination == .exited(3))
        }
    }

    @Test func `Both outputs come apart, as bytes`() async throws {
        try await withLocalContext { _, context in
            let command = try context.start(executable: "sh", arguments: ["-c", "printf '\\377\\0a'; printf e >&2"])
            var (output, error): ([UInt8], [UInt8]) = ([], [])
            while let chunk = try await command.next() {
                switch chunk {
                case .output(let bytes): output += bytes
                case .error(let bytes): error += bytes
                }
            }
            #expect(output == [255, 0, 97])
            #expect(error == [101])
        }
    }

    @Test func `Much input is passed whole, and a signal gets through while nobody reads it`() async throws {
        try await withLocalContext { _, context in
            let count = 8 << 20
            let counter = try context.start("wc -c")
            try await counter.write([UInt8](repeating: 7, count: count))
            counter.finishInput()
            #expect(try await counter.result().lines == ["\(count)"])

            let deaf = try context.start("trap 'echo told; exit 5' USR1; echo up; while :; do sleep 0.05; done")
            try await read(deaf, until: "up")
            let feeding = Task { try await deaf.write([UInt8](repeating: 7, count: 64 << 20)) }
            deaf.send(signal: SIGUSR1)
            let result = try await deaf.result()
            #expect(result.termination == .exited(5))
            #expect(result.lines == ["told"])
            try await feeding.value
        }
    }

    @Test func `What nobody holds any more ends with all that it has started`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            do {
                let command = try context.start("sleep \(marker) & echo up; wait")
                try await read(command, until: "up")
                #expect(!ProcessTable.carrying(marker).isEmpty)
            }
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A cancelled reader's command ends; another reader is told`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            let command = try context.start("echo up; sleep \(marker)")
            try await read(command, until: "up")
            let reading = Task { try await command.next() }
            reading.cancel()
            await #expect(throws: CancellationError.self) { try await reading.value }
            await #expect(throws: CancellationError.self) { try await command.next() }
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `What cannot be started is told by the first read`() async throws {
        try await withLocalContext { _, context in
            let command = try context.start(executable: "/no/such/program")
            let error = try await expectError(.commandNotStarted) { try await command.next() }
            #expect(error.message.contains("/no/such/program"))
        }
    }

    @Test func `A login shell gets a line as sshd gives it, or reads its input`() async throws {
        try await withLocalContext { _, context async throws in
            let line = try await context.startShell("echo $0; exit 4").result()
            #expect(line.termination == .exited(4))
            #expect(line.lines.first?.hasPrefix("-") == false)
            let shell = try context.startShell()
            try await shell.write(Array("echo $0\nexit 6\n".utf8))
            let result = try await shell.result()
            #expect(result.lines.first?.hasPrefix("-") == true)
            #expect(result.termination == .exited(6))
        }
    }
}
