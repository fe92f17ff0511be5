import Foundation
import MartletTestKit
import Testing

/// The journal, and what is run again with it.
@Suite(.leakChecked) struct JournalTests {
    /// A journal of its own in a folder.
    private struct Desk {
        var folder: String
        var file: String { "\(folder)/state/martlet/journal.sqlite" }
        var environment: [String: String] { ["MARTLET_JOURNAL": "", "XDG_STATE_HOME": "\(folder)/state"] }

        func run(_ arguments: [String]) async throws -> ProgramResult {
            try await MartletProgram.run(arguments, environment: environment)
        }

        func shown(_ arguments: [String] = []) async throws -> [[String: Any]] {
            try jsonLines(try await run(["journal", "show", "--json"] + arguments).output)
        }

        func outcomes(_ arguments: [String] = []) async throws -> [String?] {
            try await shown(arguments).filter { $0["event"] as? String == "host" }.map { $0["outcome"] as? String }
        }
    }

    private func withDesk(_ body: (Desk) async throws -> Void) async throws {
        try await withTestFolder { try await body(Desk(folder: $0)) }
    }

    @Test func `What was run is there, by host, and neither output nor values`() async throws {
        try await withDesk { desk async throws in
            #expect(try await desk.run(["journal"]).errors == "there is no run in the journal yet\n")
            let (secret, said) = (MartletProgram.marker(), MartletProgram.marker())
            let run = try await desk.run([
                "run", "-H", "local,local?nice=1,local", "--env", "TOKEN=\(secret)", "--env=B=\(secret)", "--json",
                "--",
                "echo \(said.prefix(10))''\(said.dropFirst(10)); test $(nice) = 0",
            ])
            #expect(run.exitCode == 1 && run.output.contains(said), "\(run.errors)")
            let shown = try await desk.shown()
            #expect(shown[0]["kind"] as? String == "run" && shown[0]["status"] as? Int == 1)
            #expect(shown[0]["options"] as? [String] == ["-H", "local,local?nice=1,local", "--json"])
            #expect(shown[0]["variables"] as? [String] == ["TOKEN", "B"])
            #expect((shown[0]["words"] as? [String])?.count == 1)
            #expect(shown.dropFirst().map { $0["outcome"] as? String } == ["succeeded", "failed", "succeeded"])
            #expect(shown[2]["reason"] as? String == "exit code 1" && shown[2]["host"] as? String == "local?nice=1")
            let list = try await desk.run(["journal"])
            #expect(list.outputLines.count == 2 && list.output.contains("2 succeeded, 1 failed"), "\(list.output)")
            #expect(try await desk.run(["journal", "show", "7"]).exitCode == 64)
            for path in try FileManager.default.contentsOfDirectory(atPath: "\(desk.folder)/state/martlet") {
                let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(desk.folder)/state/martlet/\(path)"))
                #expect(bytes.range(of: Data(secret.utf8)) == nil && bytes.range(of: Data(said.utf8)) == nil, "\(path)")
                #expect(try mode(of: "\(desk.folder)/state/martlet/\(path)") == 0o600)
            }
            #expect(try mode(of: "\(desk.folder)/state/martlet") == 0o700)
        }
    }

    private func mode(of path: String) throws -> Int? {
        (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int).map { $0 & 0o777 }
    }

    @Test func `Those that failed are taken again, with the command of then or another`() async throws {
        try await withDesk { desk async throws in
            let good = "\(desk.folder)/good"
            let hosts = "local,local?nice=1,local?nice=2"
            let first = try await desk.run([
                "run", "-H", hosts, "--env", "X=1", "--no-prefix", "--dir", "/usr", "--",
                "sh", "-c", "echo $(nice) $X $PWD; test $(nice) = 0 || test -e \(good)",
            ])
            #expect(
                first.exitCode == 1 && Set(first.outputLines) == ["0 1 /usr", "1 1 /usr", "2 1 /usr"], "\(first.errors)"
            )
            let without = try await desk.run(["run", "--rerun", "failed"])
            #expect(without.exitCode == 64 && without.errors.contains("--env X="), "\(without.errors)")
            let other = try await desk.run(["run", "--rerun", "failed", "--run", "1", "--no-prefix", "--", "nice"])
            #expect(other.exitCode == 0 && Set(other.outputLines) == ["1", "2"], "\(other.errors)")
            let put = try await desk.run(["put", "--rerun", "all", "--run", "1", "/etc/passwd", good])
            #expect(put.exitCode == 0 && put.outputLines.count == 3, "\(put.errors)")
            // The last run was no command; the first one's is repeated on those that failed then.
            let none = try await desk.run(["run", "--rerun", "all"])
            #expect(none.exitCode == 64 && none.errors.contains("was 'martlet put'"), "\(none.errors)")
            let again = try await desk.run(["run", "--rerun", "failed", "--run", "1", "--env", "X=2"])
            #expect(again.exitCode == 0 && Set(again.outputLines) == ["1 2 /usr", "2 2 /usr"], "\(again.errors)")
            let done = try await desk.run(["run", "--rerun", "failed,unreached", "--env", "X=2"])
            #expect(done.exitCode == 0 && done.output.contains("nothing to do: no host of run 4"), "\(done.output)")
            #expect(try await desk.run(["run", "--rerun", "failed", "-H", "local", "--", "x"]).exitCode == 64)
            #expect(try await desk.run(["run", "--rerun", "broken", "--", "x"]).exitCode == 64)
        }
    }

    @Test func `They are taken again behind the gateways of the inventory that was named then`() async throws {
        try await withDesk { desk async throws in
            let inventory = "[hosts]\ngone.spec = 'unix:/nonexistent/socket'\nb = { spec = 'local'"
            for (name, end) in [("then", ", via = ['gone'] }"), ("now", " }")] {
                try "\(inventory)\(end)".write(
                    toFile: "\(desk.folder)/\(name).toml", atomically: true, encoding: .utf8)
            }
            let behind = "b is behind gone, which cannot be reached"
            let first = try await MartletProgram.shell(
                #"cd \#(desk.folder) && "$martlet" run --inventory then.toml -H b -- echo fine"#,
                environment: desk.environment)
            #expect(first.exitCode == 3 && first.errors.contains(behind), "\(first.errors)")
            // Each of these takes the hosts of the one before it.
            for words in [[], ["--", "echo", "other"], ["--", "echo", "fine"], []] {
                let again = try await desk.run(["run", "--rerun", "unreached"] + words)
                #expect(again.exitCode == 3 && again.errors.contains(behind), "\(words): \(again.errors)")
            }
            let put = try await desk.run(["put", "--rerun", "all", "/etc/passwd", "\(desk.folder)/x"])
            #expect(put.exitCode == 3 && put.errors.contains(behind), "\(put.errors)")
            let ping = try await desk.run(["ping", "--rerun", "all"])
            #expect(ping.exitCode == 3 && ping.errors.contains(behind), "\(ping.errors)")
            let now = try await desk.run(
                ["run", "--rerun", "all", "--run", "5", "--inventory", "\(desk.folder)/now.toml"])
            #expect(now.exitCode == 0 && now.output == "b: fine\n", "\(now.errors)")
        }
    }

    @Test
    func `A transfer that left something out has failed, and one that reached its budget at the end was not stopped`()
        async throws
    {
        try await withDesk { desk async throws in
            let tree = "\(desk.folder)/tree"
            try FileManager.default.createDirectory(atPath: tree, withIntermediateDirectories: true)
            #expect(mkfifo("\(tree)/pipe", 0o600) == 0)
            let sync = try await desk.run(["sync", "-H", "local", "--json", tree, "\(desk.folder)/far"])
            let summary = try #require(try jsonLines(sync.output).last)
            #expect(sync.exitCode == 1 && summary["failed"] as? Int == 1 && summary["succeeded"] as? Int == 0)
            #expect(try await desk.outcomes() == ["failed"])
            #expect(try await desk.shown().last?["reason"] as? String == "1 file was not copied")
            let again = try await desk.run(["sync", "--rerun", "failed", tree, "\(desk.folder)/far"])
            #expect(again.exitCode == 1 && again.errors.contains("local: not copied: pipe: "), "\(again.errors)")

            let hosts = "local,ssh:127.0.0.1:1?option=ConnectTimeout=1"
            let put = try await desk.run(["put", "-H", hosts, "--serial", "/etc/passwd", "\(desk.folder)/x"])
            #expect(put.exitCode == 3 && put.errors.contains("2 hosts: 1 succeeded, 1 not reached in "))
            let shown = try await desk.run(["journal", "show"])
            #expect(shown.output.contains("1 succeeded, 1 not reached\n"), "\(shown.output)")
        }
    }

    @Test func `What was skipped is unfinished, and what was not reached is told apart`() async throws {
        try await withDesk { desk async throws in
            let hosts = "local,ssh:127.0.0.1:1?option=ConnectTimeout=1,local"
            #expect(try await desk.run(["run", "-H", hosts, "--serial", "--", "true"]).exitCode == 4)
            #expect(try await desk.outcomes() == ["succeeded", "unreachable", "skipped"])
            #expect(
                (try await desk.shown().first?["stopped"] as? String)?.hasPrefix("stopped when 1 had failed") == true)
            let rest = try await desk.run(["run", "--rerun", "unfinished", "--", "echo x"])
            #expect(rest.exitCode == 0 && rest.output == "local: x\n", "\(rest.errors)")
            let lost = try await desk.run(["ping", "--rerun", "unreached", "--run", "1", "--json"])
            #expect(lost.exitCode == 3 && lost.output.contains("127.0.0.1:1"), "\(lost.errors)")
        }
    }

    @Test func `A host that is lost while its command runs is unfinished, as nobody knows what it did`() async throws {
        try await withDesk { desk async throws in
            let words = ["-H", "local,local?nice=1", "--", "test $(nice) = 0 || kill -9 $PPID"]
            let run = try await desk.run(["run"] + words)
            #expect(run.exitCode == 3 && run.errors.contains("2 hosts: 1 succeeded, 1 lost in "), "\(run.errors)")
            #expect(try await desk.outcomes() == ["succeeded", "lost"])
            let unreached = try await desk.run(["run", "--rerun", "unreached", "--", "nice"])
            #expect(unreached.exitCode == 0 && unreached.output.contains("nothing to do"), "\(unreached.errors)")
            let rest = try await desk.run(["run", "--rerun", "unfinished", "--", "nice"])
            #expect(rest.exitCode == 0 && rest.output == "local: 1\n", "\(rest.errors)")
            let json = try jsonLines(try await desk.run(["run", "--json"] + words).output)
            #expect(json.last?["lost"] as? Int == 1 && json.last?["unreachable"] as? Int == 0)
        }
    }

    @Test func `The list says that a check has failed, or was interrupted`() async throws {
        try await withDesk { desk async throws in
            let check = try await desk.run(["run", "-H", "local,local", "--verify", "false", "--", "true"])
            #expect(check.exitCode == 4 && check.errors.contains("\nthe check behind batch 1 failed: on local#"))
            let stop = "kill -INT $(ps -o ppid= -p $PPID); sleep 300"
            #expect(try await desk.run(["run", "-H", "local", "--verify", stop, "--", "true"]).exitCode == 130)
            #expect(
                try await desk.run(["put", "-H", "local", "--verify", stop, "/etc/passwd", "\(desk.folder)/x"]).exitCode
                    == 130)
            let list = try await desk.run(["journal"]).outputLines
            #expect(list.count == 4 && list[1].contains("2 succeeded; check failed  "), "\(list)")
            #expect(list.dropFirst(2).allSatisfy { $0.contains("1 succeeded; interrupted  ") }, "\(list)")
            let shown = try await desk.run(["journal", "show", "1"]).output
            #expect(shown.contains("2 succeeded; the check behind batch 1 failed: on local#"), "\(shown)")
        }
    }

    @Test func `One that cannot be read names its file and a way out; one that others may read is made private`()
        async throws
    {
        try await withDesk { desk async throws in
            #expect(try await desk.run(["run", "-H", "local", "--", "true"]).exitCode == 0)
            let files = FileManager.default
            for end in ["", "-wal"] {
                try files.setAttributes([.posixPermissions: 0o644], ofItemAtPath: desk.file + end)
            }
            #expect(try await desk.run(["run", "-H", "local", "--", "true"]).exitCode == 0)
            for end in ["", "-wal", "-shm"] { #expect(try mode(of: desk.file + end) == 0o600, "\(end)") }

            for end in ["-wal", "-shm"] { try files.removeItem(atPath: desk.file + end) }
            try String(repeating: "no journal", count: 1000).write(
                toFile: desk.file, atomically: true, encoding: .utf8)
            let wayOut = "journal \(desk.file): file is not a database; move it away, and a new one is made\n"
            for words in [["journal"], ["journal", "show"], ["run", "--rerun", "failed", "--", "true"]] {
                let result = try await desk.run(words)
                #expect(
                    result.exitCode == 1 && result.errors == "martlet: cannot read the " + wayOut, "\(result.errors)")
            }
            let run = try await desk.run(["run", "-H", "local", "--", "true"])
            #expect(run.exitCode == 0 && run.errors == "martlet: this run is not in the " + wayOut, "\(run.errors)")
            try files.removeItem(atPath: desk.file)
            let none = try await desk.run(["run", "--rerun", "failed", "--", "true"])
            #expect(none.exitCode == 64 && none.errors == "martlet: there is no run in the journal yet\n")
        }
    }

    @Test func `A martlet that is killed leaves what was known`() async throws {
        try await withDesk { desk async throws in
            let marker = MartletProgram.marker()
            let running = Task {
                try await desk.run([
                    "run", "-H", "local,local?nice=1", "--", "test $(nice) = 0 || sleep 300; : \(marker)",
                ])
            }
            await eventually(within: .seconds(20), "one host is known") {
                try await desk.outcomes() == ["succeeded", nil]
            }
            let early = try await desk.run(["run", "--rerun", "unfinished", "--", "true"])
            #expect(early.exitCode == 64 && early.errors.contains("run 1 is going on still"), "\(early.errors)")
            #expect(try await desk.run(["journal"]).output.contains("1 succeeded, 1 going on"))
            let program = ProcessTable.carrying(marker).first { entry in
                entry.name == "martlet" && text(of: "/proc/\(entry.pid)/cmdline").contains("nice=1")
            }
            kill(try #require(program).pid, SIGKILL)
            _ = try await running.value
            #expect(try await desk.run(["journal"]).output.contains("1 succeeded, 1 unfinished"))
            let rest = try await desk.run(["run", "--rerun", "unfinished", "--", "nice"])
            #expect(rest.exitCode == 0 && rest.output == "local: 1\n", "\(rest.errors)")
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `It can be left out, and a place that cannot be written disturbs no run`() async throws {
        try await withDesk { desk async throws in
            #expect(try await desk.run(["run", "-H", "local", "--no-journal", "--", "true"]).exitCode == 0)
            let off = try await MartletProgram.run(
                ["run", "-H", "local", "--", "true"],
                environment: desk.environment.merging(["MARTLET_JOURNAL": "off"]) { $1 })
            #expect(off.exitCode == 0 && !FileManager.default.fileExists(atPath: desk.file))
            let run = try await MartletProgram.run(
                ["run", "-H", "local,local,local", "-q", "--", "echo x"],
                environment: ["MARTLET_JOURNAL": "", "XDG_STATE_HOME": "/dev/null"])
            #expect(run.exitCode == 0 && run.outputLines.count == 3)
            #expect(
                run.errors
                    == "martlet: this run is not in the journal: cannot make /dev/null/martlet: Not a directory\n")
        }
    }

    @Test(.enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
    func `A full disk is one warning`() async throws {
        try await withDesk { desk async throws in
            let run = try await MartletProgram.shell(
                """
                mkdir -p '\(desk.folder)/state'; unshare -m sh -c '
                mount -t tmpfs -o size=16k none "\(desk.folder)/state"
                "$martlet" run -q -H local,local -- "echo x"'
                """, environment: desk.environment)
            #expect(run.exitCode == 0 && run.outputLines.count == 2, "\(run.errors)")
            #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
            #expect(run.errors.contains("this run is not in the journal \(desk.file): "), "\(run.errors)")
        }
    }

    @Test func `Several at once are all in it`() async throws {
        try await withDesk { desk async throws in
            try await withThrowingTaskGroup(of: ProgramResult.self) { group in
                for number in 0..<10 {
                    group.addTask { try await desk.run(["run", "-H", "local", "--", "exit \(number)"]) }
                }
                for try await result in group { #expect(!result.errors.contains("journal"), "\(result.errors)") }
            }
            let runs = try jsonLines(try await desk.run(["journal", "--json"]).output)
            #expect(Set(runs.compactMap { $0["run"] as? Int }) == Set(1...10))
            #expect(runs.allSatisfy { $0["status"] is Int })
        }
    }
}
