import CMartlet
import Foundation
import Martlet
import MartletReactor
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletShim

/// The `ssh` of a tool behaves as OpenSSH's does.
@Suite(.leakChecked) struct ShimTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var line: String
        var status: Int32 = 0
        var output = ""
        /// What standard error has to contain; empty: nothing is there.
        var error = ""
        var testDescription: String { line }
    }

    static let cases = [
        Case(line: "ssh h true"),
        Case(line: "ssh h exit 3", status: 3),
        Case(
            line: "ssh -l any -p 99 -o BatchMode=yes any@h 'echo out; echo err >&2; exit 4'", status: 4,
            output: "out\n", error: "err\n"),
        Case(line: "ssh h 'kill -9 $$'", status: 255, error: "ended by signal KILL"),
        Case(line: "ssh -q h 'kill -9 $$'", status: 255),
        Case(line: "ssh h no-such-program", status: 127, error: "no-such-program"),
        Case(line: "ssh h echo 'a  b' '\"c  d\"'", output: "a b c  d\n"),
        Case(line: "echo in | ssh h cat", output: "in\n"),
        Case(line: "echo in | ssh -n h cat"),
        Case(line: "ssh h cat </dev/null"),
        Case(line: "ssh h cat <&-"),
        Case(line: "ssh h 'echo x' >&-"),
        Case(line: "echo 'echo $((40 + 2))' | ssh -T h", output: "42\n"),
        Case(line: "echo 'exit 9' | ssh h", status: 9, error: "Pseudo-terminal will not be allocated"),
        Case(line: "X=1 YY=2 ssh -o SendEnv=X -o 'SetEnv Z=3' h 'echo $X$YY$Z'", output: "13\n"),
        Case(line: "ssh -tt h 'test -t 0 && test -t 1 && test -t 2 && exit 7' </dev/null", status: 7),
        Case(line: "TERM=odd ssh -tt h 'echo $TERM' </dev/null | tr -d '\\r'", output: "odd\n"),
        Case(line: "ssh -t h true", error: "Pseudo-terminal will not be allocated"),
        Case(line: "ssh -V", error: "OpenSSH_"),
        Case(line: "ssh -G me@h | head -n 1", output: "host h\n"),
        Case(line: "ssh", status: 255, error: "usage: ssh"),
        Case(line: "ssh -s h nosuch", status: 255, error: "subsystem request failed"),
        Case(line: "ssh -s h 'no such'", status: 255, error: "subsystem request failed"),
        Case(line: "ssh h yes | head -n 1", output: "y\n", error: "*"),
        Case(line: "ssh h 'head -c 1 >/dev/null; echo ok' </dev/zero", output: "ok\n"),
        Case(line: "ssh h 'sleep 0.2; echo late; exec >&-; sleep 0.2; exit 5'", status: 5, output: "late\n"),
        Case(
            line: "for i in 1 2 3 4 5 6 7 8; do ssh h echo $i & done | sort; wait", output: "1\n2\n3\n4\n5\n6\n7\n8\n"),
    ]

    @Test func `Status, output, input and terminal are as OpenSSH has them`() async throws {
        try await withShim { shim, _, _ in
            for item in Self.cases {
                let result = try await shim.shell(item.line)
                #expect(result.termination == .exited(item.status), "\(item.line): \(result.report)")
                #expect(result.text == item.output, "\(item.line): \(result.report)")
                switch item.error {
                case "*": break
                case "": #expect(result.errorText.isEmpty, "\(item.line): \(result.report)")
                default: #expect(result.errorText.contains(item.error), "\(item.line): \(result.report)")
                }
            }
        }
    }

    @Test func `Its files are this user's alone, and gone with the scope`() async throws {
        try await withLocalContext { _, context in
            let folder = try await withSSH(.any(context)) { shim in
                let folder = URL(fileURLWithPath: shim.program).deletingLastPathComponent().path
                let permissions = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
                #expect(permissions == 0o700)
                // What somebody has left who was killed goes with the next; who has just begun does not listen yet.
                let made = try await shim.shell(
                    """
                    d=$(dirname "$(dirname "$MARTLET_SSH_PROGRAM")")
                    for i in 1 2 3 4; do mktemp -d "$d/martlet-ssh-XXXXXX"; done
                    """
                ).lines
                try #require(made.count == 4)
                defer { for folder in made { try? FileManager.default.removeItem(atPath: folder) } }
                for folder in made.prefix(2) {
                    let listener = martlet_shim_listen("\(folder)/socket", 1)
                    #expect(listener >= 0)
                    closeDescriptor(listener)
                }
                for folder in [made[0], made[2]] {
                    try FileManager.default.setAttributes(
                        [.modificationDate: Date.now.addingTimeInterval(-120)], ofItemAtPath: folder)
                }
                try await withSSH(.any(context)) { _ in
                    let stay = made.map { FileManager.default.fileExists(atPath: $0) }
                    #expect(stay == [false, true, false, true])
                }
                #expect(FileManager.default.fileExists(atPath: folder))
                return folder
            }
            #expect(!FileManager.default.fileExists(atPath: folder))
        }
    }

    @Test func `Names mean their contexts, and no other name means any`() async throws {
        try await withLocalContext { martlet, one in
            let two = try await martlet.connect(.local)
            try await withSSH(.named(["one": one, "two": two])) { shim in
                let result = try await shim.shell("ssh one 'echo $PPID'; ssh two 'echo $PPID'; ssh three true")
                #expect(result.lines == ["\(one.processID)", "\(two.processID)"])
                #expect(result.termination == .exited(255))
                #expect(result.errorText.hasPrefix("ssh: Could not resolve hostname three: "))
            }
        }
    }

    @Test func `Without the token, or with nonsense, nothing is run`() async throws {
        try await withShim { shim, context, folder in
            let marker = folder.file("made")
            let result = try await shim.shell(
                "MARTLET_SSH_TOKEN=0123456789abcdef0123456789abcdef ssh h touch '\(marker)'")
            #expect(result.termination == .exited(255))
            #expect(!FileManager.default.fileExists(atPath: marker))
            let place = try #require(shim.environment[MARTLET_SSH_SOCKET_VARIABLE] ?? nil)
            for bytes in [
                [UInt8](repeating: 0xff, count: 64), [4, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 2], [1, 0, 0, 0, 9, 9],
            ] {
                let descriptor = martlet_socket_connect(place)
                #expect(descriptor >= 0)
                _ = bytes.withUnsafeBytes { martlet_socket_write(descriptor, $0.baseAddress!, $0.count) }
                await eventually("the end of who talks nonsense") {
                    var byte: UInt8 = 0
                    return martlet_socket_read(descriptor, &byte, 1) == 0
                }
                closeDescriptor(descriptor)
            }
            #expect(try await shim.shell("ssh h echo fine").text == "fine\n")
        }
    }

    @Test func `The far command ends with its ssh, however that ends`() async throws {
        try await withShim { shim, _, _ in
            for signal in ["TERM", "INT", "HUP", "KILL"] {
                let marker = makeMarker()
                let result = try await shim.shell(
                    """
                    env --default-signal=INT ssh h 'echo up; exec sleep \(marker)' >/dev/null & p=$!
                    while ! pgrep -f '^sleep \(marker)' >/dev/null; do sleep 0.02; done
                    kill -\(signal) $p; wait $p; echo $?
                    """)
                #expect(result.text == (signal == "KILL" ? "137\n" : "255\n"), "\(signal): \(result.report)")
                await eventually("the end of the command") { ProcessTable.carrying(marker).isEmpty }
            }
        }
    }

    @Test func `A tool that is cancelled takes all along`() async throws {
        try await withShim(.relay) { shim, _, _ in
            let marker = makeMarker()
            let task = Task { try await shim.run(["sh", "-c", "ssh h sleep \(marker); echo $?"]) }
            await eventually("the command") { ProcessTable.carrying(marker).count >= 3 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await eventually("the end of the command") { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A context that is lost ends the tool with words`() async throws {
        try await withShim(.relay) { shim, context, folder in
            let marker = makeMarker()
            let task = Task { try await shim.run(["sh", "-c", "ssh h sleep \(marker)"]) }
            await eventually("the command") { ProcessTable.carrying(marker).count >= 3 }
            kill(context.processID, SIGKILL)
            let result = try await task.value
            #expect(result.termination == .exited(255), "\(result.report)")
            #expect(result.errorText.hasPrefix("ssh: h [\(context.route)]: "), "\(result.report)")
            await eventually("the end of the command") { ProcessTable.carrying(marker).isEmpty }
            let after = try await shim.shell("ssh h true")
            #expect(after.termination == .exited(255))
            #expect(after.errorText.hasPrefix("ssh: "), "\(after.report)")
        }
    }

    @Test func `What runs when the scope ends is ended`() async throws {
        let marker = makeMarker()
        try await withLocalContext { _, context in
            let tool = try await withSSH(.any(context)) { shim in
                let task = Task { try await shim.run(["sh", "-c", "ssh h sleep \(marker)"]) }
                await eventually("the command") { ProcessTable.carrying(marker).count >= 3 }
                return task
            }
            let result = try await tool.value
            #expect(result.termination == .exited(255))
            #expect(result.errorText.contains("has ended"), "\(result.report)")
            await eventually("the end of the command") { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A tool that is not there, and one that is too slow`() async throws {
        try await withShim { shim, _, _ in
            let error = try await expectError(.commandNotStarted) { try await shim.run(["no-such-tool"]) }
            #expect(error.message.contains("no-such-tool"))
            var options = CommandOptions()
            options.timeout = .milliseconds(300)
            options.input = .text("typed\n")
            let result = try await shim.run(["sh", "-c", "ssh h 'cat; exec sleep 1000'"], options: options)
            #expect(result.termination == .timedOut(after: .milliseconds(300)))
        }
    }

    @Test func `A connection through the context: -W`() async throws {
        try await withShim(.relay) { shim, _, _ in
            try await withEchoServer { port in
                let result = try await shim.shell("printf 'there and back' | ssh -W 127.0.0.1:\(port) h")
                #expect(result.text == "there and back", "\(result.report)")
                #expect(result.succeeded)
            }
            let refused = try await shim.shell("ssh -W 127.0.0.1:1 h </dev/null")
            #expect(refused.termination == .exited(255))
            #expect(refused.errorText.contains("127.0.0.1:1: Connection refused"), "\(refused.report)")
        }
    }

    @Test func `A server that ends first still gets all that is sent: -W`() async throws {
        try await withShim(.relay) { shim, _, _ in
            try await withServerThatEndsFirst("first") { port, count in
                let result = try await shim.shell(
                    "{ sleep 0.5; head -c 1000000 /dev/zero; } | ssh -W 127.0.0.1:\(port) h")
                #expect(result.text == "first", "\(result.report)")
                #expect(result.succeeded, "\(result.report)")
                await eventually("all that was sent") { count() == 1_000_000 }
            }
        }
    }

    @Test func `A context that is lost ends an ssh that runs nothing: -N`() async throws {
        try await withShim { shim, context, _ in
            let task = Task { try await shim.shell("ssh -N h </dev/null") }
            try await Task.sleep(for: .milliseconds(500))
            kill(context.processID, SIGKILL)
            let result = try await task.value
            #expect(result.termination == .exited(255), "\(result.report)")
            #expect(result.errorText.hasPrefix("ssh: h [\(context.route)]: "), "\(result.report)")
        }
    }
}
