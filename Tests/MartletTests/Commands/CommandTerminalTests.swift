import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct CommandTerminalTests {
    private func options(_ size: TerminalSize = .init(), type: String = "xterm") -> CommandOptions {
        var options = CommandOptions()
        (options.terminal, options.terminalType) = (size, type)
        return options
    }

    @Test func `A command has a terminal of the size and type that was asked for, and no other output`() async throws {
        try await withLocalContext { _, context in
            let line = "test -t 0 && test -t 1 && test -t 2 && test -r /dev/tty && stty size; echo $TERM; echo err >&2"
            let result = try await context.run(line, options: options(.init(columns: 132, rows: 43), type: "vt220"))
            #expect(result.lines == ["43 132", "vt220", "err"])
            #expect(result.standardError.isEmpty)
            #expect(result.text.contains("\r\n"))
            #expect(try await context.run("test -t 0 || test -t 1 || echo none").lines == ["none"])
        }
    }

    @Test func `Twenty thousand lines stay twenty thousand`() async throws {
        try await withLocalContext { _, context in
            let lines = Lines()
            let result = try await context.run("seq 1 20000", options: options(), onLine: lines.append)
            #expect(result.lines.count == 20_000)
            #expect(result.lines.last == "20000")
            #expect(lines.texts.count == 20_000)
        }
    }

    @Test func `Input ends also at a terminal, with a half line or without any`() async throws {
        try await withLocalContext { _, context async throws in
            #expect(try await context.run("cat; cat; echo end", options: options()).lines == ["end"])
            var half = options()
            half.input = .text("half")
            #expect(try await context.run("cat; echo; echo end", options: half).lines.last == "end")
            let command = try context.start("cat; echo end", options: options())
            try await command.write(Array("one\n".utf8))
            command.finishInput()
            #expect(try await command.result().lines == ["one", "one", "end"])
        }
    }

    @Test func `Much input ends at a terminal, too`() async throws {
        try await withLocalContext { _, context in
            var options = options()
            options.input = .text(String(repeating: "a line\n", count: 30_000))
            let result = try await context.run("stty -echo; cat >/dev/null; echo end", options: options)
            // What came before stty was echoed, perhaps up to the middle of a line.
            #expect(result.lines.last?.hasSuffix("end") == true)
        }
    }

    @Test func `A new size is told to what is in front`() async throws {
        try await withLocalContext { _, context in
            let command = try context.start(
                "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.05; done", options: options())
            _ = try await command.next()
            command.resize(TerminalSize(columns: 101, rows: 33))
            #expect(try await command.result().lines.last == "33 101")
        }
    }

    @Test func `Keys and signals go to what is in front, not to the shell behind it`() async throws {
        try await withLocalContext { _, context in
            for isKey in [true, false] {
                let marker = makeMarker()
                // With job control each job is a group of its own. (Not SIGINT: shells repeat their job's to themselves.)
                let command = try context.start(
                    "ulimit -c 0; set -m; sleep \(marker); echo ended $?; exit 7", options: options())
                await eventually { !ProcessTable.carrying(marker).isEmpty && isInFront(marker) }
                if isKey { try await command.write([0x1c]) } else { command.send(signal: SIGQUIT) }
                let result = try await command.result()
                #expect(result.text.contains("ended 131"))
                #expect(result.termination == .exited(7))
            }
        }
    }

    /// Whether the program with the marker leads the group in front of its terminal.
    private func isInFront(_ marker: String) -> Bool {
        ProcessTable.carrying(marker).contains { process in
            guard let text = try? String(contentsOfFile: "/proc/\(process.pid)/stat", encoding: .utf8) else {
                return false
            }
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 5 && fields[2] == fields[5] && process.name == "sleep"
        }
    }

    @Test func `A timeout at a terminal keeps what came, and leaves nothing, whatever ignores its end`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            var options = options()
            options.timeout = .milliseconds(500)
            options.killGrace = .milliseconds(200)
            let result = try await context.run(
                "(trap '' TERM HUP INT; echo armed; sleep \(marker); sleep \(marker)) & sleep \(marker)",
                options: options)
            #expect(result.termination == .timedOut(after: .milliseconds(500)))
            #expect(result.lines == ["armed"])
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `What a shell has started in front and behind ends with its terminal`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            do {
                let command = try context.start(
                    "set -m; sleep \(marker) & echo up; sleep \(marker)", options: options())
                _ = try await command.next()
                await eventually { ProcessTable.carrying(marker).count(where: { $0.name == "sleep" }) == 2 }
            }
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `Many terminals at once, over ssh`() async throws {
        try await withSSHContext { context in
            // All are there before the first one ends: then no terminal is another's that was before.
            let commands = try (1...8).map { number in
                try context.start("stty size; tty; cat", options: options(.init(columns: 100 + number, rows: 10)))
            }
            var seen: Set<Substring> = []
            for command in commands {
                var text = ""
                while text.count(where: { $0.isNewline }) < 2, case .output(let bytes)? = try await command.next() {
                    text += String(decoding: bytes, as: UTF8.self)
                }
                seen.formUnion(text.split(whereSeparator: \.isNewline))
            }
            for command in commands {
                command.finishInput()
                #expect(try await command.result().succeeded)
            }
            #expect(seen.count == 16, "\(seen)")
        }
    }
}
