import Foundation
import MartletTestKit
import Testing

/// `martlet up`, `down`, `tree`, and `run` through the hub.
@Suite(.leakChecked, .enabled(if: MartletProgram.hasServer, "needs OpenSSH's server"))
struct HubTests {
    /// A place for a hub, which is ended whatever happens.
    func withHub(_ body: (ThrowawaySSHD, Hub) async throws -> Void) async throws {
        try await withThrowawaySSHD { sshd async throws in
            let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-hub-\(UUID().uuidString)").path
            let hub = Hub(folder: folder, way: ["-F", sshd.configPath])
            do { try await body(sshd, hub) } catch {
                _ = try? await hub.run(["down"])
                throw error
            }
            let down = try await hub.run(["down"])
            #expect(down.exitCode == 0, "\(down.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder))
            // What a test has killed leaves its socket.
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    struct Hub {
        var folder: String
        var way: [String]

        func run(_ arguments: [String], _ environment: [String: String] = [:]) async throws -> ProgramResult {
            try await MartletProgram.run(arguments, environment: environment.merging(["MARTLET_HUB": folder]) { $1 })
        }

        /// Commands that each context of the hub has had, by host.
        func uses() async throws -> [String: Int] {
            let tree = try await run(["tree", "--json"])
            return try jsonLines(tree.output).reduce(into: [:]) { uses, line in
                if let host = line["host"] as? String { uses[host] = line["uses"] as? Int }
            }
        }

        func process() async throws -> Int32? {
            let hub = try jsonLines(try await run(["tree", "--json"]).output).first { $0["event"] as? String == "hub" }
            return (hub?["process"] as? Int).map { Int32($0) }
        }
    }

    @Test func `Commands go through a hub that is up, and are told as without it`() async throws {
        try await withHub { sshd, hub async throws in
            let none = try await hub.run(["tree"])
            #expect(none.exitCode == 1 && none.errors == "there is no hub: 'martlet up' starts one\n")
            let up = try await hub.run(["up"] + hub.way + ["-H", sshd.hostAlias])
            #expect(up.exitCode == 0, "\(up.errors)")
            #expect(up.outputLines.first == "the hub is up; it ends after 30 min 0 s without work")
            #expect(up.outputLines.last?.hasPrefix("\(sshd.hostAlias)  connected in ") == true, "\(up.output)")
            let again = try await hub.run(["up"] + hub.way + ["-H", sshd.hostAlias])
            #expect(again.outputLines == ["the hub is up already", "\(sshd.hostAlias)  is there"])
            let run = try await hub.run(
                ["run"] + hub.way + [
                    "-H", "\(sshd.hostAlias),\(sshd.hostAlias)", "--env", "X=a b", "--", "echo $HOME $X; echo e >&2",
                ])
            #expect(run.exitCode == 0, "\(run.errors)")
            #expect(run.outputLines.sorted() == [1, 2].map { "\(sshd.hostAlias)#\($0): \(sshd.home) a b" })
            #expect(run.errors.contains("\(sshd.hostAlias)#1: e\n"))
            let failed = try await hub.run(
                ["run"] + hub.way + ["-H", sshd.hostAlias, "--dir", "/", "--", "pwd; exit 7"])
            #expect(failed.exitCode == 1 && failed.output == "\(sshd.hostAlias): /\n", "\(failed.errors)")
            #expect(failed.errors.hasPrefix("\(sshd.hostAlias): exit code 7 ("))
            let words = try await hub.run(
                ["run"] + hub.way + ["-H", sshd.hostAlias, "--", "printf", "%s|", "a b", "$x"])
            #expect(words.output == "\(sshd.hostAlias): a b|$x|\n" || words.output == "\(sshd.hostAlias): a b|$x|")
            let late = try await hub.run(
                ["run"] + hub.way + ["-H", sshd.hostAlias, "--timeout", "0.5", "--", "echo first; sleep 300"])
            #expect(late.exitCode == 1 && late.errors.contains("timed out after 0.5 s"), "\(late.errors)")
            #expect(late.output == "\(sshd.hostAlias): first\n")
            #expect(try await hub.uses() == [sshd.hostAlias: 5])
            let direct = try await hub.run(["run", "--no-hub"] + hub.way + ["-H", sshd.hostAlias, "--", "true"])
            #expect(direct.exitCode == 0)
            let tree = try await hub.run(["tree"])
            #expect(tree.outputLines[0].hasPrefix("hub  process ") && tree.outputLines[0].hasSuffix(", 1 context"))
            #expect(tree.outputLines[2].hasPrefix("└─ \(sshd.hostAlias)"), "\(tree.output)")
            #expect(try await hub.uses() == [sshd.hostAlias: 5])
        }
    }

    @Test func `Files, input, tools and a shell go through the hub as well`() async throws {
        try await withHub { sshd, hub async throws in
            let host = sshd.hostAlias
            let up = try await hub.run(["up"] + hub.way + ["-H", host])
            #expect(up.exitCode == 0, "\(up.errors)")
            func through(_ words: String..., input: String = "") async throws -> ProgramResult {
                try await MartletProgram.run(
                    [words[0]] + hub.way + words.dropFirst(), input: input,
                    environment: ["MARTLET_HUB": hub.folder])
            }
            let local = hub.folder + "-files"
            defer { try? FileManager.default.removeItem(atPath: local) }
            try FileManager.default.createDirectory(atPath: local + "/tree", withIntermediateDirectories: true)
            try "content".write(toFile: local + "/tree/file", atomically: true, encoding: .utf8)

            let put = try await through("put", "-H", host, local + "/tree/file", sshd.home + "/sent")
            #expect(put.exitCode == 0, "\(put.errors)")
            #expect(try String(contentsOfFile: sshd.home + "/sent", encoding: .utf8) == "content")
            let sync = try await through("sync", "-H", host, local + "/tree", sshd.home + "/tree")
            #expect(sync.exitCode == 0, "\(sync.errors)")
            let get = try await through("get", "-H", host, sshd.home + "/tree/file", local + "/back")
            #expect(get.exitCode == 0, "\(get.errors)")
            let cat = try await through(
                "run", "-H", host, "--stdin", "--", "cat", sshd.home + "/tree/file", "-", input: " and input")
            #expect(
                cat.output == "\(host): content and input\n" || cat.output == "\(host): content and input",
                "\(cat.errors)")
            let shell = try await through("shell", host, "--", "echo $HOME; exit 5")
            #expect(shell.exitCode == 5 && shell.output == sshd.home + "\n", "\(shell.errors)")
            let facts = try await through("facts", "-H", host, "--json")
            #expect(facts.exitCode == 0, "\(facts.errors)")
            let with = try await through("with", host, "--", "ssh", "any", "cat ~/tree/file")
            #expect(with.exitCode == 0 && with.output == "content", "\(with.errors)")
            #expect(try await hub.uses() == [host: 7])
            // All of it is one process there.
            let pids = try await through("run", "-H", "\(host),\(host)", "--", "echo $PPID")
            #expect(Set(pids.outputLines.map { $0.split(separator: " ").last }).count == 1, "\(pids.output)")
        }
    }

    @Test func `A host that is not reached is told so, by up and by run`() async throws {
        try await withHub { sshd, hub async throws in
            let (good, bad) = (sshd.hostAlias, sshd.hostAlias(.closedPort))
            let up = try await hub.run(["up"] + hub.way + ["-H", "\(good),\(bad)"])
            #expect(up.exitCode == 3 && up.errors.contains("error: \(bad) refused the connection"), "\(up.errors)")
            let run = try await hub.run(["run"] + hub.way + ["-H", "\(bad),\(good)", "--", "echo fine"])
            #expect(run.exitCode == 3 && run.output == "\(good): fine\n")
            #expect(run.errors.contains("\(bad): error: \(bad) refused the connection"), "\(run.errors)")
            #expect(run.errors.contains("2 hosts: 1 succeeded, 1 not reached in "))
        }
    }

    @Test func `A hub ends by itself, and with whoever kills it, and run does without it`() async throws {
        try await withHub { sshd, hub async throws in
            let marker = MartletProgram.marker()
            let command = ["run"] + hub.way + ["-H", sshd.hostAlias, "--", "echo fine"]
            #expect(try await hub.run(["up", "--idle", "0.2"]).exitCode == 0)
            await eventually { !FileManager.default.fileExists(atPath: "\(hub.folder)/hub") }
            #expect(try await hub.run(command).exitCode == 0)

            #expect(try await hub.run(["up"] + hub.way + ["-H", sshd.hostAlias]).exitCode == 0)
            let process = try #require(try await hub.process())
            let running = Task {
                try await hub.run(
                    ["run"] + hub.way + ["-H", sshd.hostAlias, "--env", "MARKER=\(marker)", "--", "echo x; sleep 300"])
            }
            await eventually { !ProcessTable.carrying(marker).filter { $0.name == "sleep" }.isEmpty }
            kill(process, SIGKILL)
            let lost = try await running.value
            #expect(lost.exitCode == 3 && lost.output == "\(sshd.hostAlias): x\n", "\(lost.errors)")
            await eventually { ProcessTable.carrying(marker).isEmpty }
            // Its socket is there still, and nobody behind it.
            let run = try await hub.run(command)
            #expect(run.exitCode == 0 && run.output == "\(sshd.hostAlias): fine\n", "\(run.errors)")
            #expect(try await hub.run(["up"]).exitCode == 0)
        }
    }

    @Test func `A command ends with who asked for it, and a context that is lost is connected anew`() async throws {
        try await withHub { sshd, hub async throws in
            let marker = MartletProgram.marker()
            #expect(try await hub.run(["up"]).exitCode == 0)
            let ended = try await MartletProgram.shell(
                """
                "$martlet" run \(hub.way.joined(separator: " ")) -H \(sshd.hostAlias) --env MARKER=\(marker) -- \
                'echo x; sleep 300' & wait=$!
                for i in $(seq 100); do \
                "$martlet" tree | grep -q '1 running' && break; sleep 0.1; done; kill -TERM $wait; wait $wait
                """, environment: ["MARTLET_HUB": hub.folder])
            #expect(ended.exitCode == 143, "\(ended.errors)")
            await eventually { ProcessTable.carrying(marker).isEmpty }
            #expect(try await hub.uses() == [sshd.hostAlias: 1])
            // The far agent dies while nobody looks.
            let killed = try await hub.run(
                ["run"] + hub.way + ["-H", sshd.hostAlias, "--", "kill -9 $PPID; sleep 300"])
            #expect(killed.exitCode == 3 && killed.errors.contains("error: "), "\(killed.errors)")
            let tree = try await hub.run(["tree"])
            #expect(tree.outputLines[0].hasSuffix(", 0 contexts, 1 lost"), "\(tree.output)")
            #expect(tree.outputLines[2].split(separator: " ").contains("lost"), "\(tree.output)")
            let run = try await hub.run(["run"] + hub.way + ["-H", sshd.hostAlias, "--", "echo fine"])
            #expect(run.exitCode == 0 && run.output == "\(sshd.hostAlias): fine\n", "\(run.errors)")
            #expect(try await hub.uses() == [sshd.hostAlias: 1])
        }
    }

    @Test func `Nobody else's directory is trusted, and one hub is enough`() async throws {
        try await withHub { _, hub async throws in
            #expect(try await hub.run(["up"]).exitCode == 0)
            let process = try await hub.process()
            async let first = hub.run(["up"])
            async let second = hub.run(["up"])
            #expect(try await [first, second].map(\.output) == ["the hub is up already\n", "the hub is up already\n"])
            #expect(try await hub.process() == process)
            let open = hub.folder + "-open"
            try FileManager.default.createDirectory(
                atPath: open, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
            defer { try? FileManager.default.removeItem(atPath: open) }
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: open)
            let bad = try await MartletProgram.run(["up"], environment: ["MARTLET_HUB": open])
            #expect(bad.exitCode == 1, "\(bad.errors)")
            #expect(
                bad.errors == """
                    martlet: there is no private place for the hub's socket
                        \(open): it is not a directory that is yours alone (mode 0700)
                      try: MARTLET_HUB=DIR, with a directory that is yours alone

                    """)
            let off = try await MartletProgram.run(["up"], environment: ["MARTLET_HUB": "off"])
            #expect(off.exitCode == 64 && off.errors.contains("MARTLET_HUB is off"))
        }
    }
}
