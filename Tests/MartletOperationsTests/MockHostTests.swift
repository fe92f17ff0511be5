import Martlet
import Testing

@testable import MartletOperations

@Suite struct MockHostTests {
    private func on<R>(_ mock: MockHost, _ settings: Setting..., body: () async throws -> R) async throws -> R {
        try await withSettings([.mock(mock), .quiet] + settings, body)
    }

    @Test func `Commands are answered by text, beginning, pattern, and whatever is left`() async throws {
        let mock = try MockHost("web1") {
            $0.on("uptime", "up 3 days\n")
            $0.on(prefix: "systemctl ", .exit(3))
            $0.on(matching: try .expression("^git .*--tags$"), .output("v1\n", errors: "hm\n"))
            $0.on("killed", .ended(.signalled(9), output: "half"))
            $0.on("slow", .ended(.timedOut(after: .seconds(1))))
            $0.on("old", .result(OperationResult(command: "x", host: "y", standardOutput: [1, 2])))
            $0.on("away", .failure(MartletError(.unreachable, "nobody answers")))
            $0.onAnything()
        }
        try await on(mock, .warnOnly) {
            #expect(try await remote("uptime").lines == ["up 3 days"])
            #expect(try await remote("systemctl stop x").exitCode == 3)
            let git = try await remote("git fetch --tags")
            #expect(git.output == "v1\n" && git.errors == "hm\n" && git.errorLines == ["hm"])
            let killed = try await remote("killed")
            #expect(killed.signal == "KILL" && killed.failed && killed.exitCode == nil && killed.output == "half")
            #expect(try await remote("slow").timedOut)
            #expect(try await remote("old").standardOutput == [1, 2])
            #expect(try await remote("old").command == "old")
            #expect(try await remote("old").host == "web1")
            let error = try await #require(throws: MartletError.self) { try await remote("away") }
            #expect(error.code == .unreachable)
            #expect(try await remote("something else").succeeded)
        }
        #expect(mock.commands.first == "uptime" && mock.commands.last == "something else")
    }

    @Test func `Answers come one after the other, and again from the first if they repeat`() async throws {
        let mock = MockHost {
            $0.on("a", "1", "2")
            $0.on("b", "1", "2", repeats: false)
        }
        try await on(mock) {
            var seen: [String] = []
            for _ in 1...5 { seen.append(try await remote("a").output) }
            #expect(seen == ["1", "2", "1", "2", "1"])
            #expect(try await remote("b").output == "1")
            #expect(try await remote("b").output == "2")
            let error = try await operationError(.unexpected) { try await remote("b") }
            #expect(error.message == "the mock host mock has no answer to “b”")
            #expect(error.advice == "it answers “a”, “b”")
        }
    }

    @Test func `A result keeps no more than it may, and all is shown`() async throws {
        let mock = MockHost("m") { $0.on("x", .output("out\n", errors: "bad\n")) }
        let screen = Screen()
        try await withSettings(.mock(mock), screen.setting, .hide(.running)) {
            let cut = try await remote("x", .outputLimit(2))
            #expect(cut.output == "ou" && cut.errors == "ba" && cut.isTruncated)
            let none = try await remote("x", .discardOutput)
            #expect(none.standardOutput == [] && none.standardError == [] && none.isTruncated)
            #expect(screen.text(.output) == "[m] out: out\n[m] out: out\n")
            let all = try await remote("x", .outputLimit(4))
            #expect(all.output == "out\n" && all.errors == "bad\n" && !all.isTruncated)
        }
    }

    @Test func `A long line is one line`() {
        let line = String(repeating: "grüße 🐦 ", count: 10_000)
        let result = OperationResult(
            command: "x", host: "y", standardOutput: Array("a\r\n\n\(line)\nb\r\n\(line)".utf8),
            standardError: Array("\(line)\r".utf8))
        #expect(result.lines == ["a", "", line, "b", line])
        #expect(result.errorLines == [line])
        #expect(OperationResult(command: "x", host: "y").lines == [])
    }

    @Test func `What is unexpected is an error, also where failures are not`() async throws {
        let mock = MockHost("m")
        _ = try await operationError(.unexpected) { try await on(mock, .warnOnly) { try await remote("x") } }
        #expect(mock.commands == ["x"])
    }

    @Test func `It remembers all that it was told`() async throws {
        let mock = MockHost { $0.onAnything() }
        try await on(mock, .environment(["A": "b", "C": nil]), .directory("/srv")) {
            try await cd("app") {
                try await remoteSudo("id", user: "joe", group: "staff", password: Secret("hush"), .input(.text("in")))
                try await prefix("p") { try await remote(["ls", "a b"]) }
            }
        }
        #expect(mock.calls.map(\.command) == ["id", "p && ls 'a b'"])
        #expect(mock.calls.map(\.directory) == ["/srv/app", "/srv/app"])
        #expect(mock.calls[0].environment == ["A": "b", "C": nil])
        #expect(mock.calls.map(\.sudoUser) == ["joe", nil])
        #expect(mock.calls.map(\.sudoGroup) == ["staff", nil])
        #expect(mock.calls[0].input == Array("in".utf8))
        let calls = mock.calls
        #expect(!"\(calls)".contains("hush"))
    }

    @Test func `A user's own code is tested without a host`() async throws {
        // What a program might have: it restarts what is not running.
        @Sendable func ensureRunning(_ service: String) async throws -> Bool {
            let state = try await remote("systemctl is-active \(service)", .warnOnly)
            if state.lines.first == "active" { return false }
            try await remoteSudo("systemctl restart \(service)")
            return true
        }
        let web = MockHost("web1") {
            $0.on("systemctl is-active nginx", .output("inactive\n", exitCode: 3), "active\n")
            $0.on("systemctl restart nginx")
        }
        try await on(web) {
            let first = try await ensureRunning("nginx")
            let second = try await ensureRunning("nginx")
            #expect(first && !second)
        }
        #expect(web.calls.map(\.sudoUser) == [nil, "root", nil])
    }

    @Test func `Whatever keeps an operation from being done is shown, and thrown as the caller has it`() async throws {
        struct Mine: Error { var error: OperationError }
        let mock = MockHost("m") { $0.on("away", .failure(MartletError(.commandNotStarted, "it is not there"))) }
        let screen = Screen()
        let on: Setting = .mock(mock)
        let cases: [(OperationError.Code, String?, @Sendable () async throws -> Void)] = [
            (.noHost, nil, { try await remote("x") }), (.noHost, nil, { try await remote(["x"]) }),
            (.noHost, nil, { try await shell() }), (.noHost, nil, { _ = try await remoteFileExists("/") }),
            (.noHost, nil, { _ = try await hostContext() }), (.noHost, nil, { try await upload(text: "", to: "/x") }),
            (.noHost, nil, { try await download("/x") }), (.noHost, nil, { try await execute(on: []) {} }),
            (.misuse, "web1", { try await remote("x", .host("web1")) }),
            (.misuse, "web1", { _ = try await downloadText("/x", .host("web1")) }),
            (.misuse, "m", { try await remote([], on) }), (.misuse, "m", { _ = try await hostContext(on) }),
            (.misuse, "local", { try await local([""]) }), (.unexpected, "m", { try await remote("x", on) }),
            (.commandNotStarted, "m", { try await remote("away", on) }),
            (.transferFailed, "m", { try await download("/x", on) }),
            (.transferFailed, "local", { try await upload("~no-such-user/x", to: "/x", on) }),
            (.promptAborted, nil, { _ = try await prompt("Which?", .abortOnPrompts()) }),
        ]
        for (code, host, operation) in cases {
            screen.clear()
            let mine = await #expect(throws: Mine.self) {
                try await withSettings(screen.setting, .hide(.running), .abort { Mine(error: $0) }) {
                    try await operation()
                }
            }
            guard let error = mine?.error else { continue }
            #expect(error.code == code && error.host == host, "\(error)")
            #expect(screen.text == "Fatal error: \(error.message)\(host.map { " [\($0)]" } ?? "")\n")
        }
    }

    @Test func `Errors are those of a real host`() async throws {
        let mock = MockHost("m") { $0.on("x", .output("out\n", errors: "bad\n", exitCode: 123)) }
        let error = try await operationError(.commandFailed) { try await on(mock) { try await remote("x") } }
        #expect(error.message == "“x” ended with exit code 123")
        #expect(error.detail == "out\nbad")
        #expect(error.host == "m")
        #expect(error.result?.exitCode == 123 && error.result?.failed == true)
        #expect("\(error)" == "“x” ended with exit code 123 [controller]\n    out\n    bad")
        struct Mine: Error { var code: Int32? }
        let mine = await #expect(throws: Mine.self) {
            try await on(mock, .abort { Mine(code: $0.result?.exitCode) }) { try await remote("x") }
        }
        #expect(mine?.code == 123)
    }
}
