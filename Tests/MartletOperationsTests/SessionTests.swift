import Martlet
import MartletOperations
import MartletTestKit
import MartletTestSupport
import Testing

private struct Counter: OutputWatcher {
    var count = 0
    mutating func receive(_ bytes: [UInt8], from pipe: OutputLine.Pipe) throws -> [UInt8] {
        count += bytes.filter { $0 == UInt8(ascii: "?") }.count
        return count == 3 ? Array("three\n".utf8) : []
    }
}

@Suite(.leakChecked) struct SessionTests {
    @Test func `A command has a terminal of the size that is asked for, there and here`() async throws {
        try await withScreen(.hide(.running)) { screen async throws in
            let terminal: Setting = .pty(OperationTerminal(size: TerminalSize(columns: 132, rows: 43), type: "vt220"))
            for host in ["local", "local/local"] {
                screen.clear()
                let result = try await remote(
                    "test -t 0 && test -t 1 && test -t 2 && stty size; echo $TERM; echo err >&2", .host(host), terminal)
                #expect(result.lines == ["43 132", "vt220", "err"] && result.standardError == [])
                #expect(screen.lines == result.lines.map { "[\(host)] out: \($0)" }, "no line keeps its \\r")
            }
            #expect(try await local("stty size", .pty(.init(size: .init()))).lines == ["24 80"])
            #expect(try await local("test -t 0 || test -t 1 || echo none").lines == ["none"])
            #expect(
                try await withSettings(terminal) { try await local("test -t 1 || echo none", .pty(nil)).lines } == [
                    "none"
                ])
        }
    }

    @Test func `20,000 lines from a terminal are 20,000 lines`() async throws {
        try await withScreen(.hide(.running), try .lineTemplate("{line}\n")) { screen in
            let lines = try await local("seq 1 20000", .pty).lines
            #expect(lines == (1...20000).map { "\($0)" })
            #expect(screen.lines == lines)
        }
    }

    @Test(arguments: [false, true]) func `A timeout ends all of it with a terminal and a watcher too`(
        isTerminal: Bool
    ) async throws {
        try await withScreen(.quiet) { _ in
            let marker = makeMarker()
            let error = try await operationError(.commandTimedOut) {
                try await local(
                    "echo early; trap '' HUP; sleep \(marker) & sleep \(marker)", .timeout(.milliseconds(500)),
                    .pty(isTerminal ? OperationTerminal() : nil), .watch(Responder("never", "x")))
            }
            #expect(error.result?.lines == ["early"])
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test(arguments: [false, true]) func `Watchers answer what a command asks`(isTerminal: Bool) async throws {
        try await withScreen(.quiet, .pty(isTerminal ? OperationTerminal() : nil)) { _ in
            let script = """
                printf 'Name? '; read name; printf 'Go on, %s? [y/n] ' "$name"; read answer
                printf 'Sure? [y/n] ' >&2; read sure; echo; echo "$name $answer $sure."
                """
            let result = try await local(
                script, .watch(Responder("Name? ", "joe\n"), Responder(try .expression("\\[y/n\\] $"), "y\n")))
            #expect(result.lines.last == "joe y y.", "\(result.lines)")
            // Each command begins with new watchers; scopes add to them.
            try await withSettings(.watch(Responder("Name? ", "ann\n"))) {
                for _ in 1...2 {
                    let result = try await local(script, .watch(Responder("[y/n] ", "n\n")))
                    #expect(result.lines.last == "ann n n.")
                    let counted = try await local(
                        "printf '??'; sleep 0.1; printf '?'; read x; echo; echo $x", .watch(Counter()))
                    #expect(counted.lines.last == "three")
                }
            }
        }
    }

    @Test func `Input that is given has an end, though somebody watches`() async throws {
        try await withScreen(.quiet, .timeout(.seconds(60))) { _ in
            let result = try await local("cat", .input(.text("x")), .watch(Responder("never", "y\n")))
            #expect(result.output == "x")
        }
    }

    @Test func `An answer that is refused ends the command, and says what it wrote`() async throws {
        try await withScreen(.quiet) { _ in
            let marker = makeMarker()
            let error = try await operationError(.responseRefused) {
                try await local(
                    "while printf 'Password:'; read x; do echo Sorry, wrong; done; sleep \(marker)",
                    .watch(FailingResponder("Password:", Secret("open sesame\n"), sentinel: "Sorry")), .warnOnly)
            }
            #expect(error.detail?.contains("Sorry, wrong") == true)
            #expect(error.host == "local" && error.route?.steps == ["local"])
            #expect(!"\(error)".contains("open sesame"))
            await eventually { ProcessTable.carrying(marker).isEmpty }
            struct Mine: Error {}
            await #expect(throws: Mine.self) {
                try await local(
                    "printf 'Password:'; read x; echo Sorry; read y",
                    .watch(FailingResponder("Password:", "a\n", sentinel: "Sorry")), .abort { _ in Mine() })
            }
        }
    }

    @Test func `A command that asks where nobody is to be asked ends`() async throws {
        try await withScreen(.quiet, .abortOnPrompts()) { _ in
            let asked = try await operationError(.promptAborted) {
                try await local("stty -echo; until printf 'Password: ' && read x </dev/tty; do :; done; echo $x", .pty)
            }
            #expect(asked.message == "the command asks: “Password: ”", "\(asked)")
            // Without a terminal there is nothing to read, and nowhere to ask.
            #expect(try await local("read x || echo nothing").lines == ["nothing"])
            #expect(try await local("(read x </dev/tty) 2>/dev/null || echo nowhere").lines == ["nowhere"])
            #expect(try await local("read x || echo nothing", .pty).lines.last == "nothing")
        }
    }

    @Test func `Input is typed at a terminal, and its error is the command's`() async throws {
        try await withScreen(.quiet, .pty) { _ in
            let result = try await local("read a; read b; echo \"$b $a\"", .input(.text("one\ntwo\n")))
            #expect(result.lines.last == "two one")
            let broken = AsyncThrowingStream<[UInt8], any Error> { $0.finish(throwing: PlainFailure(text: "no more")) }
            await #expect(throws: PlainFailure.self) { try await local("cat", .input(.chunks(broken))) }
        }
    }

    @Test func `The account's own shell runs a line, and is there for a person`() async throws {
        try await withScreen(.quiet, .host("local")) { screen in
            #expect(try await remote("echo \"$0\" a b", .shell(.login)).output.hasSuffix("a b\n"))
            #expect(try await remote("exit 3", .shell(.login), .warnOnly).exitCode == 3)
            let notRun = try await remote("echo no; echo no", .prefix("false"), .shell(.login), .warnOnly)
            #expect(notRun.lines == [] && notRun.failed, "all of the line hangs on the prefix")
            #expect(try await remote("echo 'a  b'; echo c", .prefix("true"), .shell(.login)).lines == ["a  b", "c"])
            #expect(try await remote("echo x; echo y >&2", .shell(.login), .combineErrors()).lines == ["x", "y"])
            let session = try await shell(
                .show(.output), .pty(.init(size: .init(columns: 90, rows: 20))), .directory("/usr"),
                .environment(["MARTLET_A": "b c"]), .input(.text("stty size; echo \"$MARTLET_A in $PWD\"; exit 7\n")))
            #expect(session.exitCode == 7, "leaving it is no failure")
            #expect(session.output.contains("20 90") && session.output.contains("b c in /usr"), "\(session.output)")
            #expect(screen.text == session.output, "it is shown as it comes")
        }
    }

    @Test func `A cancelled session leaves nothing`() async throws {
        try await withScreen(.quiet, .pty) { _ in
            let marker = makeMarker()
            let task = Task { try await local("trap '' HUP; sleep \(marker); sleep \(marker)") }
            await eventually { !ProcessTable.carrying(marker).isEmpty }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }
}
