import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// `martlet shell`, with and without a terminal. The terminal that it runs in is one of a context's.
@Suite(.leakChecked) struct ShellTests {
    private func onTerminal(
        _ arguments: String, size: TerminalSize = .init(), _ body: @Sendable (RunningCommand) async throws -> Void
    ) async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.terminal = size
            options.environment = ["XDG_CACHE_HOME": MartletProgram.cache, "martlet": MartletProgram.path, "HOME": "/"]
            let command = try context.start(
                "trap : TERM; stty -g >before.$$; \"$martlet\" shell \(arguments); echo status $?; stty -g | cmp - before.$$ && rm before.$$",
                options: inTemporaryFolder(options))
            try await body(command)
        }
    }

    private func inTemporaryFolder(_ options: CommandOptions) -> CommandOptions {
        var options = options
        options.directory = NSTemporaryDirectory()
        return options
    }

    @discardableResult
    private func read(_ command: RunningCommand, until text: String) async throws -> String {
        var seen = ""
        while !seen.contains(text) {
            guard case .output(let bytes)? = try await command.next() else {
                throw PlainError(text: "it ended with: \(seen)")
            }
            seen += String(decoding: bytes, as: UTF8.self)
        }
        return seen
    }

    private func type(_ text: String, _ command: RunningCommand) async throws {
        try await command.write(Array(text.utf8))
    }

    @Test func `A shell has our terminal, follows its size, and its status is ours`() async throws {
        try await onTerminal("local", size: TerminalSize(columns: 91, rows: 31)) { command in
            try await type("PS1='far''> '; stty size\r", command)
            #expect(try await read(command, until: "far> ").contains("31 91"))
            command.resize(TerminalSize(columns: 111, rows: 22))
            try await type("until [ \"$(stty size)\" = '22 111' ]; do sleep 0.05; done; echo fol''lowed\r", command)
            try await read(command, until: "followed")
            // Keys are the far machine's.
            try await type(
                "sh -c 'trap \"echo tr\"\"apped; exit\" INT; echo re\"\"ady; while :; do sleep 0.05; done'\r", command)
            try await read(command, until: "ready")
            try await type("\u{3}", command)
            try await read(command, until: "trapped")
            try await type("exit 5\r", command)
            let end = try await command.result()
            #expect(end.text.contains("status 5"))
            #expect(!end.text.contains("differ"), "the terminal is not what it was")
        }
    }

    @Test func `Escape keys tell themselves and let go of a host that hangs`() async throws {
        try await onTerminal("local") { command in
            try await type("PS1='far''> '\r", command)
            try await read(command, until: "far> ")
            try await type("\r~?", command)
            try await read(command, until: "send a ~")
            try await type("\rtrap '' INT TERM HUP; while :; do sleep 1; done\r", command)
            try await read(command, until: "done")
            try await type("\r~.", command)
            let end = try await command.result()
            #expect(end.text.contains("martlet: let go of local."))
            #expect(end.text.contains("status 255"))
            #expect(!end.text.contains("differ"), "the terminal is not what it was")
        }
    }

    @Test func `A signal that ends us gives the terminal back`() async throws {
        try await onTerminal("local") { command in
            try await type("PS1='far''> '; echo $PPID\r", command)
            try await read(command, until: "far> ")
            // Ours, not the far shell: it is in front of our terminal.
            command.send(signal: SIGTERM)
            let end = try await command.result()
            #expect(end.text.contains("status 143"))
            #expect(!end.text.contains("differ"), "the terminal is not what it was")
        }
    }

    @Test func `Without a terminal a shell reads lines, and both outputs stay apart`() async throws {
        let result = try await MartletProgram.run(
            ["shell", "local"], input: "echo out; echo err >&2; tty; exit 7\n", environment: ["HOME": "/"])
        #expect(result.exitCode == 7)
        #expect(result.outputLines == ["out", "not a tty"])
        #expect(result.errors.hasSuffix("err\n"))
    }

    @Test func `One line runs in the login shell; a terminal can be asked for`() async throws {
        let result = try await MartletProgram.run(["shell", "local", "--", "echo", "$((6*7)); kill -9 $$"])
        #expect(result.outputLines == ["42"])
        #expect(result.exitCode == 137)
        let terminal = try await MartletProgram.run(["shell", "local", "--tty", "--", "test -t 1 && echo terminal"])
        #expect(terminal.output == "terminal\r\n")
        let bytes = try await MartletProgram.shell(
            #"head -c 3000000 /dev/urandom >in; "$martlet" shell local -- cat <in | cmp - in && echo same; rm in"#)
        #expect(bytes.output == "same\n")
    }

    @Test func `Standard input that is closed is at its end`() async throws {
        let result = try await MartletProgram.shell(#""$martlet" shell local -- 'cat; echo out; exit 4' <&-"#)
        #expect(result.exitCode == 4 && result.output == "out\n", "\(result.errors)")
    }

    @Test func `A socket as standard input stays as it is for those who share it`() async throws {
        let program = #"""
            import fcntl, os, socket, subprocess
            ours, theirs = socket.socketpair()
            def flags(): return fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK
            shell = subprocess.Popen([os.environ["martlet"], "shell", "local", "--", "cat"], stdin=theirs, stdout=subprocess.PIPE)
            ours.sendall(b"one\n"); print(shell.stdout.readline(), flags())
            ours.sendall(b"two\n" * 100000); ours.shutdown(socket.SHUT_WR)
            print(len(shell.stdout.read()), shell.wait(), flags())
            """#
        let result = try await MartletProgram.shell("python3 -c \"$program\"", environment: ["program": program])
        #expect(result.output == "b'one\\n' 0\n400000 0 0\n", "\(result.output)\(result.errors)")
    }

    @Test func `A host that is not reached is told, with ssh's status`() async throws {
        let result = try await MartletProgram.run(["shell", "ssh:no-such-host.invalid"])
        #expect(result.exitCode == 255)
        #expect(result.errors.contains("no-such-host.invalid"))
        #expect(result.errors.contains("try:"))
        let usage = try await MartletProgram.run(["shell", "local", "-e", "ab"])
        #expect(usage.exitCode == 64)
    }

    @Test(.enabled(if: MartletProgram.hasServer)) func `A host that is lost is told`() async throws {
        try await withThrowawaySSHD { sshd in
            let result = try await MartletProgram.run(
                ["shell", "-F", sshd.configPath, sshd.hostAlias, "--", "kill -9 $PPID; sleep 1000"])
            #expect(result.exitCode == 255)
            #expect(result.errors.contains("martlet: "))
            #expect(result.errors.contains("ssh:\(sshd.hostAlias)"))
        }
    }
}
