import Foundation
import Martlet
import MartletOperations
import MartletTestKit
import MartletTestSupport
import Testing

// What a person does with operations, case by case as threadbare's example has it: TB-01 to TB-48.

private enum Tags: SettingKey { typealias Value = [String] }

extension Setting {
    fileprivate static func tag(_ name: String) -> Setting {
        Setting { $0[Tags.self] = ($0[Tags.self] ?? []) + [name] }
    }
}

@Suite(.leakChecked, .enabled(if: hasSSHServer, "needs openssh-server")) struct ExampleTests {
    @Test func `Settings and local commands`() async throws {
        try await withScreen { screen in
            // TB-01: nested settings add up.
            let tags = await withSettings(.tag("foo")) {
                await withSettings(.tag("bar")) { await withSettings(.tag("baz")) { Settings.current[Tags.self] } }
            }
            #expect(tags == ["foo", "bar", "baz"])
            // TB-02, TB-03: a command; its two outputs.
            #expect(try await local("echo hello, world!").succeeded)
            let both = try await local("echo out; echo err >&2")
            #expect(both.lines == ["out"] && both.errorLines == ["err"])
            // TB-04: in another directory.
            #expect(try await lcd("/tmp") { try await local("pwd").lines } == ["/tmp"])
            // TB-05: nothing is shown, nothing is kept.
            screen.clear()
            let nothing = try await hide { try await local("cat /etc/passwd; echo x >&2", .discardOutput) }
            #expect(screen.text == "" && nothing.lines == [] && nothing.errorLines == [])
            // TB-07: at once, in order.
            let all = try await hide {
                try await execute(.parallel, over: ["c", "a", "b"]) { try await local("echo \($0)").lines }
            }
            #expect(all == [["c"], ["a"], ["b"]])
        }
    }

    @Test func `Remote commands`() async throws {
        try await withRemote { sshd, screen in
            // TB-08, TB-09: colours; hidden and still returned.
            #expect(try await remote("printf '\\033[31mred\\033[0m'", .quiet).output == "\u{1b}[31mred\u{1b}[0m")
            #expect(screen.text == "")
            #expect(try await hide { try await remote("echo 'hi!'").lines } == ["hi!"])
            // TB-10: as root, in root's directory.
            if getuid() == 0 { #expect(try await remoteSudo("cd /root && echo $(id -un)").lines == ["root"]) }
            // TB-11: in a directory that was just made.
            let folder = try await remote("mktemp -d").lines[0]
            try await withSettings(.quiet) {
                try addCleanup { try await remote(["rm", "-r", folder]) }
                #expect(try await cd(folder) { try await remote("pwd").lines } == [folder])
                // TB-12: outputs apart.
                let both = try await remote("echo out; echo err >&2")
                #expect(both.lines == ["out"] && both.errorLines == ["err"])
                // TB-14, TB-15, TB-16: failures.
                let error = try await operationError(.commandFailed) { try await remote("exit 123") }
                #expect(error.result?.exitCode == 123 && error.result?.failed == true)
                struct ValueError: Error {}
                await #expect(throws: ValueError.self) { try await remote("exit 1", .abort { _ in ValueError() }) }
                #expect(try await remote("exit 123", .warnOnly).exitCode == 123)
                // TB-17: one connection.
                var agents: Set<String> = []
                for _ in 1...4 { agents.insert(try await remote("echo $PPID").output) }
                #expect(agents.count == 1)
                // TB-18: many as one.
                #expect(try await remote(try #require(single(["echo a", "cd /tmp", "pwd"]))).lines == ["a", "/tmp"])
                // TB-19: one after the other.
                let commands = ["echo 1", "echo 2", "echo 3", "echo 4"]
                #expect(
                    try await execute(over: commands) { try await remote($0).lines } == [["1"], ["2"], ["3"], ["4"]])
                // TB-21, TB-22: errors of some at once, thrown or as values.
                let failed = try await #require(throws: ExecutionError.self) {
                    try await execute(.parallel, over: [0, 1, 0]) { try await remote("exit \($0)") }
                }
                #expect(failed.failures.map(\.index) == [1])
                let outcomes = try await collect(.parallel, over: [0, 1]) { try await remote("exit \($0)").exitCode }
                #expect(try outcomes[0].get() == 0)
                #expect((outcomes[1].failure as? OperationError)?.message == "“exit 1” ended with exit code 1")
            }
            #expect(try await remoteFileExists(folder) == false)
        }
    }

    @Test func `Files`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await TestFolder.with { here in
                // TB-23, TB-40: there or not, one or many.
                #expect(try await remoteFileExists("/etc/passwd"))
                #expect(try await remoteFileExists("/etc/nothing") == false)
                let there = try await execute(.parallel, over: ["/etc/passwd", "/nothing", "/etc"]) {
                    try await remoteFileExists($0)
                }
                #expect(there == [true, false, true])
                // TB-24: up, changed there, down, changed here.
                try "foo".write(toFile: here.file("a"), atomically: true, encoding: .utf8)
                try await upload(here.file("a"), to: "~/shop/a")
                try await remote("printf bar >>~/shop/a")
                try await download("~/shop/a", to: here.file("a"))
                try await local("printf baz >>\(here.file("a"))")
                #expect(here.text("a") == "foobarbaz")
                // TB-46: a script.
                try here.writeProgram("script.sh", "echo hello, world")
                try await upload(here.file("script.sh"), to: "~/shop/script.sh", .mode(0o600))
                try await cd("~/shop") {
                    try await remote("chmod +x script.sh")
                    #expect(try await remote("./script.sh").lines == ["hello, world"])
                }
                // TB-47: on hosts at once.
                let hosts = [OperationHost(sshd.connector(.pipe), name: "web1"), "local"]
                let script = here.file("script.sh")
                let scripts = try await execute(.parallel, on: hosts) {
                    let host = Settings.current.host?.name ?? ""
                    let path = try await upload(script, to: "\(sshd.home)/\(host)/script.sh")
                    return try await remote([path]).lines
                }
                #expect(scripts.values == [["hello, world"], ["hello, world"]])
                #expect(scripts.map(\.host.name) == ["web1", "local"])
            }
        }
    }

    @Test func `Serial and parallel, mixed`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            // TB-42 to TB-45: neither disturbs the other.
            let command: @Sendable () async throws -> String = { try await remote("echo $PPID").lines[0] }
            var agents = Set(try await execute(.serial, times: 2, command))
            agents.formUnion(try await execute(.parallel, times: 4, command))
            agents.formUnion(try await execute(.serial, times: 2, command))
            agents.formUnion(try await execute(.parallel, times: 4, command))
            agents.formUnion(try await execute(.parallel, times: 4, command))
            let nested = try await execute(.parallel, times: 3) { try await execute(.parallel, times: 3, command) }
            agents.formUnion(nested.flatMap { $0 })
            #expect(agents.count == 1)
        }
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
