import Foundation
import MartletTestKit
import Testing

/// What `martlet run` shows on a terminal: util-linux's `script` makes one.
@Suite(
    .leakChecked,
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"), "needs util-linux's script"))
struct TerminalTests {
    private func onTerminal(_ arguments: String, environment: [String: String] = [:]) async throws -> String {
        try await MartletProgram.shell(#"script -qec '"$martlet" \#(arguments)' /dev/null"#, environment: environment)
            .output
    }

    @Test func `Colours are for terminals`() async throws {
        #expect(try await onTerminal("run -H local -- echo x").contains("\u{1b}["))
        #expect(try await !onTerminal("run -H local -- echo x", environment: ["NO_COLOR": "1"]).contains("\u{1b}["))
        #expect(try await !onTerminal("run -H local --color never -- echo x").contains("\u{1b}["))
        let plain = try await MartletProgram.run(["run", "-H", "local", "--", "echo x; exit 1"])
        #expect(!(plain.output + plain.errors).contains("\u{1b}["))
        let always = try await MartletProgram.run(["run", "-H", "local", "--color", "always", "--", "echo x"])
        #expect(always.output.contains("\u{1b}["))
    }

    @Test func `A terminal gets no control characters from far machines`() async throws {
        let text = try await onTerminal(#"run -H local --color never -- "printf \"a\\033[2Jb\\rc\\n\"""#)
        #expect(text.contains("local | a^[[2Jb^Mc"))
    }

    @Test func `Standard error is marked on a terminal`() async throws {
        let text = try await onTerminal("run -H local --color never -- \"echo out; echo err >&2\"")
        #expect(text.contains("local | out"))
        #expect(text.contains("local ! err"))
    }

    @Test func `A long run has a progress line that is gone at the end`() async throws {
        let text = try await onTerminal("run -H local,local --color never -- \"sleep 1.5; echo late\"")
        #expect(text.contains("0/2 done, 1 s, waiting for: local#1 local#2"))
        #expect(text.contains("\r\u{1b}[K"))
        let shown = text.split(separator: "\u{1b}[K").last ?? ""
        #expect(!shown.contains("waiting for"))
    }
}
