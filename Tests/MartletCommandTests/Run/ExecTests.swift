import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked) struct ExecTests {
    /// Outlives the tests: what all fragments share takes half a minute to compile.
    private static let cache = URL(fileURLWithPath: MartletProgram.path).deletingLastPathComponent()
        .appending(path: "martlet-fragment-cache").path

    private static let source = """
        import Glibc
        struct Item: Codable { var words: [String]; var half = 0.5; var bytes: [UInt8] = [1, 2] }
        let words = CommandLine.arguments.dropFirst()
        print("out", words.joined(separator: ","))
        try channel.send(Item(words: Array(words)))
        try channel.send(Optional<Int>.none)
        if try channel.receive(as: Int.self) == nil { _ = "err\\n".withCString { write(2, $0, strlen($0)) } }
        struct Boom: Error {}
        if words.first == "throw" { throw Boom() }
        if words.first == "exit" { exit(4) }
        """

    private static func exec(
        _ arguments: String..., environment: [String: String] = [:]
    ) async throws -> ProgramResult {
        let environment = ["XDG_CACHE_HOME": cache].merging(environment) { $1 }
        return try await MartletProgram.run(["exec"] + arguments, environment: environment, within: .seconds(300))
    }

    /// Runs `body` with the path of a script.
    private static func withScript(
        _ source: String, _ body: (String) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "exec-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let script = folder.appending(path: "job.swift")
        try source.write(to: script, atomically: true, encoding: .utf8)
        try await body(script.path)
    }

    @Test func `A script runs on each host, and is compiled once`() async throws {
        try await Self.withScript(Self.source) { script in
            let (log, wrapper) = (script + ".log", script + ".sh")
            try "#!/bin/sh\necho \"$*\" >>\(log)\nexec swiftc \"$@\"\n".write(
                toFile: wrapper, atomically: true, encoding: .utf8)
            chmod(wrapper, 0o700)
            // Other runs may have compiled the same.
            try (Self.source + "\n// \(script)").write(toFile: script, atomically: true, encoding: .utf8)
            _ = try await Self.exec("-e", "print(\"hi\")", "-H", "local")
            let result = try await Self.exec(
                script, "-H", "local,local", "--", "a b", "-x", environment: ["SWIFTC": wrapper])
            #expect(result.exitCode == 0, "\(result.errors)")
            let item = #"{"words":["a b","-x"],"half":0.5,"bytes":{"base64":"AQI="}}"#
            for host in ["local#1", "local#2"] {
                let own = result.outputLines.filter { $0.hasPrefix(host) }
                #expect(Set(own) == ["\(host): out a b,-x", "\(host): \(item)", "\(host): null"], "\(own)")
                #expect(result.errors.contains("\(host): err\n"))
            }
            #expect(result.errors.contains("2 hosts: 2 succeeded in "))
            let runs = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
            #expect(runs.count { !$0.contains("-version") } == 1, "\(runs)")
        }
    }

    @Test func `Source in place of a script, and the exit status of what fails`() async throws {
        let hello = try await Self.exec("-e", "print(\"hi\")", "-H", "local", "--no-prefix")
        #expect(hello.output == "hi\n", "\(hello.errors)")
        try await Self.withScript(Self.source) { script in
            let thrown = try await Self.exec(script, "-H", "local", "--", "throw")
            #expect(thrown.exitCode == 1)
            #expect(thrown.errors.contains("local: error: job.swift threw Boom: Boom() [controller → local]"))
            let code = try await Self.exec(script, "-H", "local", "--json", "--", "exit")
            #expect(code.exitCode == 1)
            let events = try jsonLines(code.output)
            let items = events.filter { $0["event"] as? String == "item" }
            #expect((items.first?["value"] as? [String: Any])?["words"] as? [String] == ["exit"])
            #expect(items.last?["value"] is NSNull)
            #expect(events.first { $0["event"] as? String == "result" }?["exit"] as? Int == 4)
        }
    }

    @Test func `What the compiler says comes as it prints it`() async throws {
        try await Self.withScript("let a = 1\nlet b: String = a\n") { script in
            let result = try await Self.exec(script, "-H", "no-such-host.invalid")
            #expect(result.exitCode == 64)
            #expect(result.errors.hasPrefix("\(script):2:17: error: "), "\(result.errors)")
            #expect(result.output.isEmpty)
        }
        let missing = try await Self.exec("-e", "print(1)", "-H", "local", environment: ["SWIFTC": "/no/swiftc"])
        #expect(missing.exitCode == 1)
        #expect(missing.errors.contains("there is no Swift compiler"), "\(missing.errors)")
        #expect(missing.errors.contains("SWIFTC"))
    }

    @Test func `Wrong usage is told`() async throws {
        for arguments in [["-H", "local"], ["-e", "print(1)", "x.swift", "-H", "local"], ["-e", "print(1)"]] {
            let result = try await MartletProgram.run(["exec"] + arguments)
            #expect(result.exitCode == 64, "\(arguments)")
        }
        let lost = try await Self.exec("/no/such/script.swift", "-H", "local")
        #expect(lost.exitCode == 64)
        #expect(lost.errors.contains("/no/such/script.swift"))
    }

    @Test(.enabled(if: MartletProgram.hasServer, "needs OpenSSH's server"))
    func `It runs over ssh, on a small agent`() async throws {
        try await withThrowawaySSHD { sshd in
            let result = try await Self.exec(
                "-e", "print(\"hi\")", "-F", sshd.configPath, "-H", "\(sshd.hostAlias),ssh:\(sshd.hostAlias)/local")
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(result.outputLines.count == 2)
            #expect(result.outputLines.allSatisfy { $0.hasSuffix(": hi") }, "\(result.output)")
        }
    }
}
