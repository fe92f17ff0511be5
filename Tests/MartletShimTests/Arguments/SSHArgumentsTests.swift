import Testing

@testable import MartletShim

/// What OpenSSH makes of the same words, tried with `ssh -G` and a server.
@Suite struct SSHArgumentsTests {
    struct Line: Sendable, CustomTestStringConvertible {
        var words: String
        var expected: SSHInvocation
        var testDescription: String { words }

        init(_ words: String, _ change: (inout SSHInvocation) -> Void) {
            self.words = words
            expected = SSHInvocation()
            expected.host = "h"
            change(&expected)
        }
    }

    static let lines: [Line] = [
        Line("h") { _ in },
        Line("h ls -l /") { $0.session = .command("ls -l /") },
        Line("h -- ls -l") { $0.session = .command("ls -l") },
        Line("-- h ls") { $0.session = .command("ls") },
        Line("-- h -l x") { $0.session = .command("-l x") },
        Line("-l ann h ls") { ($0.user, $0.session) = ("ann", .command("ls")) },
        Line("-lann h") { $0.user = "ann" },
        Line("bob@h") { $0.user = "bob" },
        Line("a@b@h") { $0.user = "a@b" },
        Line("-l ann bob@h") { $0.user = "ann" },
        Line("bob@h -l ann ls") { ($0.user, $0.session) = ("bob", .command("ls")) },
        Line("h -p 2222 ls") { ($0.port, $0.session) = (2222, .command("ls")) },
        Line("h ls -p 2222") { $0.session = .command("ls -p 2222") },
        Line("-p2222 -p 33 h") { $0.port = 2222 },
        Line("-o User=ann -oPort=9 -o user=x h") { ($0.user, $0.port) = ("ann", 9) },
        Line("-xTq h") { ($0.terminal, $0.isQuiet) = (.never, true) },
        Line("-t h top") { ($0.terminal, $0.session) = (.wanted, .command("top")) },
        Line("-tt h") { $0.terminal = .forced },
        Line("-t -t h") { $0.terminal = .forced },
        Line("-T -t h") { $0.terminal = .wanted },
        Line("-tT h") { $0.terminal = .never },
        Line("-n h x") { ($0.hasNoInput, $0.session) = (true, .command("x")) },
        Line("-N h") { $0.session = .nothing },
        Line("-vvv h") { $0.verbosity = 3 },
        Line("-i key -F cfg -c aes -E log -J a,b -S ctl h x") { $0.session = .command("x") },
        Line("-s -- h sftp") { $0.session = .subsystem("sftp") },
        Line("h -s sftp") { $0.session = .subsystem("sftp") },
        Line("-oForwardAgent=no -oRequestTTY=no -o ClearAllForwardings=yes -lann -- h scp -t /x") {
            ($0.user, $0.terminal, $0.session) = ("ann", .never, .command("scp -t /x"))
        },
        Line("-oRemoteCommand=none h x") { $0.session = .command("x") },
        Line("-oRemoteCommand=uptime h") { $0.session = .command("uptime") },
        Line("-oSessionType=none h") { $0.session = .nothing },
        Line("-oSessionType=subsystem h sftp") { $0.session = .subsystem("sftp") },
        Line("-oStdinNull=yes h") { $0.hasNoInput = true },
        Line("-W db:5432 h") { ($0.session, $0.terminal) = (.connection(host: "db", port: 5432), .never) },
        Line("-W [::1]:22 h") { ($0.session, $0.terminal) = (.connection(host: "::1", port: 22), .never) },
        Line("ssh://h") { _ in },
        Line("ssh://ann@h:2022/ x") { ($0.user, $0.port, $0.session) = ("ann", 2022, .command("x")) },
        Line("ssh://a%40b@h") { $0.user = "a@b" },
        Line("-oSendEnv=GIT_PROTOCOL -o SetEnv=A=b h x") {
            ($0.sentVariables, $0.variables, $0.session) = (["GIT_PROTOCOL"], ["A": "b"], .command("x"))
        },
    ]

    @Test(arguments: lines) func `A line is read as OpenSSH reads it`(_ line: Line) {
        let words = line.words.split(separator: " ").map(String.init)
        #expect(SSHArguments.read(words) == .invocation(line.expected))
    }

    @Test func `Words with blanks stay whole until the shell gets the line`() {
        let reading = SSHArguments.read(["-o", "SetEnv A=\"b c\" D=e", "-o", "User ann", "h", "echo", "a  b"])
        var expected = SSHInvocation()
        (expected.host, expected.user, expected.variables) = ("h", "ann", ["A": "b c", "D": "e"])
        expected.session = .command("echo a  b")
        #expect(reading == .invocation(expected))
    }

    @Test(arguments: [
        ("", "usage: ssh"), ("-l", "option requires an argument -- l"), ("-9 h", "unknown option -- 9"),
        ("-p 0 h", "Bad port '0'"), ("-p 65536 h", "Bad port '65536'"), ("-p x h", "Bad port"), ("@h", "usage"),
        ("user@", "usage"), ("ssh://h:x", "usage"), ("ssh://h/path", "usage"), ("-f h x", "-f is not possible"),
        ("-L 1:h:2 h", "martlet forward"), ("-D 1 h", "martlet forward"), ("-R 1:h:2 h", "martlet forward"),
        ("-O check h", "master"), ("-Q cipher", "-Q is not possible"), ("-s h", "You must specify a subsystem"),
        ("-W db h", "Bad stdio forwarding"), ("-W db:1 h x", "Cannot execute"), ("-N h x", "Cannot execute"),
        ("-oRequestTTY=maybe h", "unsupported option"), ("-oSessionType=odd h", "unsupported option"),
        ("-oSetEnv=x h", "Invalid environment"), ("-oPort=none h", "Bad number"),
    ]) func `What cannot be is refused with 255 and words`(_ line: String, _ words: String) {
        guard case .answer(_, let error, let status) = SSHArguments.read(line.split(separator: " ").map(String.init))
        else {
            Issue.record("\(line) was taken")
            return
        }
        #expect(status == 255)
        #expect(error.contains(words), "\(error)")
    }

    @Test func `-V and -G answer`() {
        guard case .answer(_, let version, 0) = SSHArguments.read(["-V"]) else {
            Issue.record("-V")
            return
        }
        #expect(version.hasPrefix("OpenSSH_"))
        guard case .answer(let output, _, 0) = SSHArguments.read(["-G", "ann@h", "-p", "9"]) else {
            Issue.record("-G")
            return
        }
        #expect(output == "host h\nhostname h\nuser ann\nport 9\n")
    }

    @Test(arguments: [
        ("GIT_PROTOCOL", "GIT_PROTOCOL", true), ("LC_ALL", "LC_*", true), ("LC", "LC_*", false), ("AB", "A?", true),
        ("A", "A?", false), ("", "*", true), ("abcabc", "*abc", true), ("abcab", "*abc", false), ("x", "***", true),
    ]) func `Patterns of SendEnv`(_ name: String, _ pattern: String, _ matches: Bool) {
        #expect(SSHInvocation.matches(name.utf8[...], pattern.utf8[...]) == matches)
    }
}
