@preconcurrency import Foundation
@preconcurrency import Glibc
import Martlet
import MartletOperations
import MartletTestKit
import MartletTestSupport
import Testing

/// Runs `body` with operations that show nothing but on the screen that it gets.
func withScreen(
    _ settings: Setting...,
    options: MartletOptions = staticAgent == nil ? OutputLog().options : OutputLog().staticOptions,
    _ body: @Sendable (Screen) async throws -> Void
) async throws {
    let screen = Screen()
    try await withMartlet(options) { martlet in
        try await withOperations(on: martlet, [screen.setting] + settings) { try await body(screen) }
    }
}

@Suite(.leakChecked) struct LocalTests {
    @Test func `A local command, shown as it comes`() async throws {
        try await withScreen { screen in
            let result = try await local("echo hello, world!")
            #expect(result.succeeded && !result.failed && result.exitCode == 0)
            #expect(result.lines == ["hello, world!"])
            #expect(result.command == "echo hello, world!" && result.host == "local")
            #expect(screen.text == "[local] run: echo hello, world!\n[local] out: hello, world!\n")
        }
    }

    @Test(arguments: [false, true], [false, true])
    func `A line or words, as oneself or by sudo`(isWords: Bool, isSudo: Bool) async throws {
        let canSudo = isSudo ? try await runProgram(["sh", "-c", "sudo -n true"]).exitCode == 0 : true
        guard canSudo else { return }
        try await withScreen { screen in
            let how: Setting = isSudo ? .sudo() : .withoutSudo
            let result =
                isWords
                ? try await local(["sh", "-c", "printf '%s\\n' \"$0\"; echo bad >&2; id -u >&2", "a  b"], how)
                : try await local("printf '%s\\n' 'a  b'; echo bad >&2; id -u >&2", how)
            #expect(result.lines == ["a  b"])
            #expect(result.errorLines == ["bad", isSudo ? "0" : "\(getuid())"])
            #expect(screen.text(.output).hasSuffix("[local] out: a  b\n"))
            #expect(screen.text(.error).hasPrefix("[local] err: bad\n"))
            // Together, in the order in which they were written.
            let together = try await local(
                "echo 1; echo 2 >&2; echo 3", how, .combineErrors())
            #expect(together.lines == ["1", "2", "3"] && together.errors == "")
        }
    }

    @Test func `A directory of its own, for local commands only, also nested`() async throws {
        try await TestFolder.with { folder in
            try await withScreen(.quiet) { _ async throws in
                try await local(["mkdir", "-p", folder.file("it's a 'b'")])
                let before = try await local("pwd").lines
                try await lcd(folder.path) { () async throws in
                    #expect(try await local("pwd -P").lines == [folder.path])
                    try await lcd("it's a 'b'") { () async throws in
                        #expect(try await local("pwd -P").lines == [folder.file("it's a 'b'")])
                        #expect(try await local(["pwd", "-P"]).lines == [folder.file("it's a 'b'")])
                    }
                    try await lcd("/") { () async throws in #expect(try await local("pwd").lines == ["/"]) }
                    try await lcd("~") { () async throws in
                        #expect(try await local("pwd").lines == local("echo ~").lines)
                    }
                    let error = try await operationError(.commandNotStarted) {
                        try await lcd("not there") { try await local("touch wrong", .warnOnly) }
                    }
                    #expect(error.message.contains(folder.file("not there")), "\(error)")
                    #expect(!folder.has("wrong"))
                }
                #expect(try await local("pwd").lines == before)
            }
        }
    }

    @Test func `Failures: errors with the result, results with warnings, errors of the caller's own`() async throws {
        try await withScreen(.hide([.running, .output, .errors])) { screen in
            let error = try await operationError(.commandFailed) { try await local("echo a; echo b >&2; exit 123") }
            #expect(error.message == "“echo a; echo b >&2; exit 123” ended with exit code 123")
            #expect(error.result?.exitCode == 123 && error.result?.failed == true && error.result?.lines == ["a"])
            #expect(error.detail == "a\nb", "what was hidden is told")
            #expect("\(error)".contains("controller → local"))
            #expect(screen.text.hasPrefix("Fatal error: “echo a; echo b >&2; exit 123” ended with exit code 123 ["))
            screen.clear()
            #expect(try await local("exit 1", .warnOnly).exitCode == 1)
            #expect(screen.text == "Warning: “exit 1” ended with exit code 1\n")
            screen.clear()
            #expect(try await withSettings(.warnOnly, .quiet) { try await local("exit 2").exitCode } == 2)
            #expect(screen.text == "")
            struct Mine: Error { var code: Int32? }
            let mine = await #expect(throws: Mine.self) {
                try await local("exit 7", .abort { Mine(code: $0.result?.exitCode) })
            }
            #expect(mine?.code == 7)
            // A program that is not there is a failure of the shell's; without a shell, of ours.
            #expect(try await local("no-such-program-x", .warnOnly).exitCode == 127)
            screen.clear()
            let missing = try await operationError(.commandNotStarted) {
                try await local(["no-such-program-x"], .warnOnly)
            }
            #expect(screen.text == "Fatal error: \(missing.message) [controller → local]\n")
            await #expect(throws: Mine.self) {
                try await local(["no-such-program-x"], .abort { Mine(code: $0.result?.exitCode) })
            }
        }
    }

    @Test func `An error has no lines that were seen when they came`() async throws {
        try await withScreen { _ in
            let error = try await operationError(.commandFailed) { try await local("seq 100; exit 1") }
            #expect(error.detail == nil)
            let hidden = try await operationError(.commandFailed) {
                try await local("seq 100; echo x >&2; exit 1", .hide(.output))
            }
            #expect(hidden.detail == (91...100).map { "\($0)" }.joined(separator: "\n"))
        }
    }

    @Test func `A signal is told by its name, and is no success`() async throws {
        try await withScreen(.quiet) { _ async throws in
            let result = try await local("kill -9 $$", .warnOnly)
            #expect(result.signal == "KILL" && result.failed && result.exitCode == nil)
            let error = try await operationError(.commandSignalled) { try await local("kill -TERM $$") }
            #expect(error.message == "“kill -TERM $$” was ended by signal TERM")
        }
    }

    @Test func `A timeout ends all of it, and keeps what came`() async throws {
        try await withScreen(.hide(.running)) { screen in
            let marker = makeMarker()
            let error = try await operationError(.commandTimedOut) {
                try await local("echo early; sleep \(marker) & sleep \(marker)", .timeout(.milliseconds(500)))
            }
            #expect(error.result?.timedOut == true && error.result?.lines == ["early"])
            #expect(screen.lines.first == "[local] out: early")
            await eventually { ProcessTable.carrying(marker).isEmpty }
            #expect(try await local("sleep \(marker)", .timeout(.milliseconds(100)), .warnOnly).timedOut)
        }
    }

    @Test func `Variables and input arrive as they are`() async throws {
        try await withScreen(.quiet) { _ async throws in
            for value in ["a b", "a; echo pwned", "it's", "\"$HOME\" `id`", "two\nlines", "", "grüße 🐦"] {
                try await env(["MARTLET_A": value]) { () async throws in
                    #expect(try await local("printf %s \"$MARTLET_A\"").output == value)
                    let removed = try await local("printf %s \"${MARTLET_A-none}\"", .environment(["MARTLET_A": nil]))
                    #expect(removed.output == "none")
                }
            }
            #expect(try await local("cat", .input(.text("one\ntwo"))).lines == ["one", "two"])
            #expect(try await local("cat; echo end").lines == ["end"], "there is nothing to read")
        }
    }

    @Test func `Prefixes come first, and have to succeed`() async throws {
        try await withScreen(.quiet, .warnOnly) { _ in
            try await prefix("A=1") {
                try await prefix("B=2") { () async throws in
                    #expect(try await local("echo $A $B; echo $B # a comment").lines == ["1 2", "2"])
                    #expect(try await local("cat <<END\n$A\nEND").lines == ["1"])
                }
            }
            let failed = try await prefix("exit 9") { try await local("echo no; echo no") }
            #expect(failed.exitCode == 9 && failed.lines == [])
            let notRun = try await prefix("false") { try await local("echo no; echo no") }
            #expect(notRun.lines == [], "all of the command hangs on the prefix")
        }
    }

    @Test(arguments: [
        (["echo a # note", "echo b"], ["a", "b"]), (["true &", "echo b"], ["b"]),
        (["cat <<END\na\nEND", "echo b"], ["a", "b"]), (["false; echo a", "echo 'b'"], ["a", "b"]),
        (["false # note", "echo a; echo b"], []), (["false", "echo a || echo b"], []), (["x=1", "echo $x"], ["1"]),
    ])
    func `Commands as one are each whole, and so are prefixes`(commands: [String], lines: [String]) async throws {
        try await withScreen(.quiet, .warnOnly) { _ in
            let line = try #require(single(commands))
            for shell in [.shell(.sh), .shell(.login), .shell(.program("/bin/bash", ["-c"]))] as [Setting] {
                try await withSettings(shell) {
                    #expect(try await local(line).lines == lines)
                    let prefixes = commands.dropLast().map { Setting.prefix($0) }
                    #expect(try await local(commands.last ?? "", .all(prefixes)).lines == lines)
                    let words = try await local(["sh", "-c", "x=1; \(commands.last ?? "")"], .all(prefixes))
                    #expect(words.lines == lines)
                }
            }
        }
    }

    @Test func `Lines are shown while a thread of the program waits for one to be typed`() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let before = dup(0)
        dup2(ends[0], 0)
        let typed = Box<String?>(nil)
        Thread.detachNewThread {
            let line = readLine()
            typed.change { $0 = line }
        }
        await eventually("somebody waits for a line") {
            guard ftrylockfile(stdin) == 0 else { return true }
            funlockfile(stdin)
            return false
        }
        let isShown = Box(false)
        let command = Task {
            // An empty line, so that it is not seen among those of the tests.
            try await withScreen(.hide(.running), .output(to: .standard), try .lineTemplate("{line}")) { _ in
                try await local("echo")
                isShown.change { $0 = true }
            }
        }
        await eventually("the end of the command") { isShown.value }
        #expect(typed.value == nil)
        #expect(write(ends[1], "x\n", 2) == 2)
        await eventually("the line") { typed.value == "x" }
        try await command.value
        dup2(before, 0)
        for descriptor in ends + [before] { close(descriptor) }
    }

    @Test func `What is not UTF-8 is shown and kept byte for byte`() async throws {
        try await withScreen(.hide(.running), try .lineTemplate("{line}\n")) { screen in
            let bytes = "\\377\\000\\200x\\n\\033[31mred\\033[0m\\n"
            let result = try await local(["printf", bytes])
            #expect(result.standardOutput == [255, 0, 128] + Array("x\n\u{1b}[31mred\u{1b}[0m\n".utf8))
            #expect(screen.bytes == result.standardOutput)
            #expect(result.lines.count == 2)
        }
    }

    @Test func `20,000 lines are 20,000 lines, and 16 MB come at a steady pace`() async throws {
        try await withScreen(.hide(.running), try .lineTemplate("{line}\n")) { screen in
            let lines = try await local("seq 1 20000").lines
            #expect(lines == (1...20000).map { "\($0)" })
            #expect(screen.text == lines.joined(separator: "\n") + "\n")
            screen.clear()
            let big = try await local(
                "yes 'a line of some sixty characters, as programs write them, and more' | head -c 16000000")
            #expect(big.standardOutput.count == 16_000_000 && !big.isTruncated)
            #expect(screen.bytes.count == 16_000_000 + 1 || screen.bytes.count == 16_000_000)
            let cut = try await local("seq 1 20000", .outputLimit(100), .quiet)
            #expect(cut.standardOutput.count == 100 && cut.isTruncated)
            #expect(try await local("seq 1 20000", .discardOutput, .quiet).standardOutput == [])
        }
    }

    @Test func `What is only shown is not run`() async throws {
        try await TestFolder.with { folder in
            try await withScreen(.dryRun()) { screen async throws in
                #expect(try await local(["touch", folder.file("x")]).succeeded)
                #expect(try await remote("rm -rf /", .host("no-such-host.invalid")).succeeded)
                #expect(!folder.has("x"))
                #expect(screen.lines.last == "[no-such-host.invalid] run: rm -rf /")
            }
        }
    }

    @Test func `Local commands at once, with all their settings`() async throws {
        try await withScreen(.quiet) { _ async throws in
            let results = try await execute(.parallel, over: Array(1...12)) { number in
                try await env(["N": "\(number)"]) { try await local("echo $N; sleep 0.05; echo $N >&2") }
            }
            #expect(results.map(\.lines) == (1...12).map { ["\($0)"] })
            #expect(results.map(\.errorLines) == (1...12).map { ["\($0)"] })
        }
    }
}
