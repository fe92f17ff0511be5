import Foundation
import Martlet
import MartletOperations
import MartletShim
import MartletTestKit
import MartletTestSupport
import Testing

/// Runs `body` with operations that go to a real sshd.
func withRemote(
    _ settings: Setting..., body: @Sendable (ThrowawaySSHD, Screen) async throws -> Void
) async throws {
    try await withThrowawaySSHD(.warm) { sshd in
        try await withScreen(.host(OperationHost(sshd.connector(.pipe), name: "web1")), .all(settings)) { screen in
            try await body(sshd, screen)
        }
    }
}

@Suite(.leakChecked, .enabled(if: hasSSHServer, "needs openssh-server")) struct RemoteTests {
    @Test func `Output, errors, colours, codes and signals of a remote command`() async throws {
        try await withRemote { sshd, screen in
            let result = try await remote("printf '\\033[31mred\\033[0m\\n'; echo bad >&2")
            #expect(result.lines == ["\u{1b}[31mred\u{1b}[0m"] && result.errorLines == ["bad"])
            #expect(result.host == "web1" && result.route.steps.count == 1 && result.duration > .zero)
            #expect(screen.text(.output) == "[web1] run: \(result.command)\n[web1] out: \u{1b}[31mred\u{1b}[0m\n")
            #expect(screen.text(.error) == "[web1] err: bad\n")
            screen.clear()
            #expect(try await hide { try await remote("echo 'hi!'").lines } == ["hi!"])
            #expect(screen.text == "")
            try await hide {
                let error = try await operationError(.commandFailed) { try await remote("exit 123") }
                #expect(error.result?.exitCode == 123)
                #expect(error.route?.steps == result.route.steps)
                struct Mine: Error {}
                await #expect(throws: Mine.self) { try await remote("exit 123", .abort { _ in Mine() }) }
                #expect(try await remote("exit 123", .warnOnly).exitCode == 123)
                #expect(try await remote("kill -9 $$", .warnOnly).signal == "KILL")
                #expect(try await remote("seq 1 20000").lines == (1...20000).map { "\($0)" })
                #expect(try await remote(["printf", "%s|", "a b", "$HOME"]).output == "a b|$HOME|")
                #expect(try await remote("echo $0", .shell(.program("/bin/bash", ["-c"]))).lines == ["/bin/bash"])
            }
        }
    }

    @Test func `All commands of a scope go over one connection, one after the other or at once`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            var agents: Set<String> = []
            for _ in 1...4 { agents.insert(try await remote("echo $PPID").output) }
            for output in try await execute(.parallel, times: 20, { try await remote("echo $PPID").output }) {
                agents.insert(output)
            }
            #expect(agents.count == 1)
            #expect(try await remote(try #require(single(["cd /tmp", "pwd", "true"]))).lines == ["/tmp"])
        }
    }

    @Test func `Directories: nested, odd names, home, and one that is not there`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            let start = try await remote("pwd").lines
            #expect(try await remote("pwd", .directory(".")).lines == start)
            try await cd("~") { try await remote(["mkdir", "-p", "one two/it's \"3\"/$HOME"]) }
            try await cd("~/one two") {
                #expect(try await remote("pwd").lines == [sshd.home + "/one two"])
                try await cd("it's \"3\"") {
                    #expect(try await remote("pwd").lines == [sshd.home + "/one two/it's \"3\""])
                    try await cd("$HOME") { () async throws in
                        #expect(try await remote("basename \"$PWD\"").lines == ["$HOME"])
                    }
                    try await cd("..") { () async throws in
                        #expect(try await remote("pwd -P").lines == [sshd.home + "/one two"])
                    }
                    try await cd("/tmp") { () async throws in #expect(try await remote("pwd").lines == ["/tmp"]) }
                    try await cd("~") { () async throws in #expect(try await remote("pwd").lines == [sshd.home]) }
                    try await cd("~/one two") { () async throws in
                        #expect(try await remote("pwd").lines == [sshd.home + "/one two"])
                    }
                    try await cd("~root") { () async throws in #expect(try await remote("pwd").lines == ["/root"]) }
                }
                try await prefix("A=$(basename \"$PWD\")") { () async throws in
                    #expect(try await remote("echo $A").lines == ["one two"])
                }
            }
            let missing = try await operationError(.commandNotStarted) {
                try await cd("/no/such") { try await remote("touch ~/wrong", .warnOnly) }
            }
            #expect(missing.message.contains("/no/such: No such file"), "\(missing)")
            #expect(missing.route?.steps.count == 1)
            let nobody = try await operationError(.commandNotStarted) {
                try await cd("~no-such-user") { try await remote("true") }
            }
            #expect(nobody.message == "there is no home directory ~no-such-user")
            #expect(!FileManager.default.fileExists(atPath: sshd.home + "/wrong"))
        }
    }

    @Test func `Files that are there and that are not, relative to the directory too`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await cd("~") {
                try await remote("mkdir 'a b'; touch 'a b/it'\\''s'; ln -s nowhere broken")
                #expect(try await remoteFileExists("a b/it's"))
                #expect(try await remoteFileExists("broken") == false)
            }
            #expect(try await remoteFileExists("~/a b"))
            #expect(try await cd("~/a b") { try await remoteFileExists("it's") })
            #expect(try await remoteFileExists("/etc/passwd"))
            #expect(try await remoteFileExists("a") == false)
            #expect(try await remoteFileExists("it's") == false)
            #expect(try await remoteFileExists("it's", .directory("~/a b")), "an argument counts as a scope does")
            #expect(try await remoteFileExists("/etc/passwd/x") == false)
            #expect(try await remoteFileExists("-e") == false)
            #expect(try await remoteFileExists("/etc/passwd", .host("local")))
        }
    }

    @Test func `Settings, arguments, declarations: each operation takes the nearest`() async throws {
        try await withRemote(.quiet) { sshd, screen async throws in
            // By a scope, and by an argument, which for every operation counts more.
            try await TestFolder.with { folder in
                folder.touch("mine")
                let here: Setting = .all([.host("local"), .directory(folder.path)])
                try await withSettings(.directory("/")) { try await check(folder, arguments: [here], isHere: true) }
                try await withSettings(here) { try await check(folder, arguments: [], isHere: true) }
                try await withSettings(here) {
                    try await check(
                        folder, arguments: [.host(OperationHost(sshd.connector(.pipe), name: "web1"))], isHere: false)
                }
                #expect(folder.text("sent") == "sent")
            }
        }
    }

    private func check(_ folder: TestFolder, arguments: [Setting], isHere: Bool) async throws {
        let more: Setting = .all(arguments)
        let name = isHere ? "local" : "web1"
        #expect(try await remote("pwd", more).host == name)
        #expect(try await remote("pwd", more).lines == [folder.path])
        #expect(try await remote(["pwd"], more).host == name)
        #expect(try await remoteSudo("pwd", .dryRun(), more).host == name)
        #expect(try await remoteFileExists("mine", more))
        #expect(try await hostContext(more).route.steps[0].hasPrefix(isHere ? "local" : "ssh"))
        #expect(try await upload(text: "sent", to: "sent", more) == folder.file("sent"))
        #expect(try await downloadText("sent", more) == "sent")
        #expect(try await download("sent", to: folder.file("got"), more) == folder.file("got"))
        let taken = try await operationError(.fileExists) {
            try await upload(text: "x", to: "sent", .overwrite(.never), more)
        }
        #expect(taken.host == name)
    }

    @Test func `Ports lead there and back while their scope is open`() async throws {
        try await withRemote(.quiet, .shell(.program("/bin/bash", ["-c"])), .warnOnly) { sshd, _ in
            let server = ForwardPlace.port(UInt16(sshd.port), host: "127.0.0.1")
            // What it says first.
            let banner: @Sendable (UInt16) -> String = {
                "exec 3<>/dev/tcp/127.0.0.1/\($0) && read -r line <&3 && echo \"$line\""
            }
            let there = try await forwardLocal(to: server) { forwarding in
                let port = try #require(forwarding.port)
                #expect(try await local(banner(port)).output.hasPrefix("SSH-2.0"))
                return port
            }
            #expect(try await local(banner(there)).failed)
            let back = try await forwardRemote(to: server) { forwarding in
                let port = try #require(forwarding.port)
                #expect(try await remote(banner(port)).output.hasPrefix("SSH-2.0"))
                return port
            }
            #expect(try await remote(banner(back)).failed)
        }
    }

    @Test func `A timeout there ends the far group too`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            let marker = makeMarker()
            let error = try await operationError(.commandTimedOut) {
                try await remote(
                    "echo early; trap '' HUP; sleep \(marker) & sleep \(marker)", .timeout(.milliseconds(500)))
            }
            #expect(error.result?.lines == ["early"])
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A host that cannot be reached is its own error, whatever the settings`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withScreen(.quiet, .warnOnly, .abort { _ in PlainFailure() }) { _ in
                let closed = OperationHost(sshd.connector(.closedPort))
                let error = try await expectError(.unreachable) { try await remote("true", .host(closed)) }
                #expect(error.phase == .reach)
                try await expectError(.authenticationFailed) {
                    try await remoteFileExists("/", .host(OperationHost(sshd.connector(.refusedKey))))
                }
                let spec = "ssh:\(sshd.hostAlias)?config=\(sshd.configPath)"
                #expect(try await remote("echo spec", .host(spec)).lines == ["spec"])
                #expect(
                    try await remote("echo set", .host("ssh:\(sshd.hostAlias)"), .sshConfiguration(sshd.configPath))
                        .lines == ["set"])
            }
        }
    }
}
