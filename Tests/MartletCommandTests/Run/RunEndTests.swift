import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked) struct RunEndTests {
    @Test func `A command that fails gives status 1 and its code`() async throws {
        let result = try await MartletProgram.run(["run", "-H", "local", "--", "exit 7"])
        #expect(result.exitCode == 1)
        #expect(result.errors.hasPrefix("local: exit code 7 ("))
    }

    @Test func `A signal is told by its name`() async throws {
        let text = try await MartletProgram.run(["run", "-H", "local", "--", "kill -9 $$"])
        #expect(text.exitCode == 1)
        #expect(text.errors.hasPrefix("local: ended by signal KILL ("))
        let json = try await MartletProgram.run(["run", "-H", "local", "--json", "--", "sh", "-c", "kill -SEGV $$"])
        let result = try #require(try jsonLines(json.output).first { $0["event"] as? String == "result" })
        #expect(result["signal"] as? String == "SEGV")
        #expect(result["exit"] is NSNull)
        #expect(result["ok"] as? Bool == false)
    }

    @Test func `A timeout keeps what came and ends what runs`() async throws {
        let marker = MartletProgram.marker()
        let result = try await MartletProgram.run(
            [
                "run", "-H", "local", "--timeout", "0.5", "--env", "MARKER=\(marker)", "--",
                "echo first; sleep 300; echo second",
            ])
        #expect(result.exitCode == 1)
        #expect(result.output == "local: first\n")
        #expect(result.errors.contains("timed out after 0.5 s"))
        await eventually { ProcessTable.carrying(marker).isEmpty }
    }

    @Test(arguments: [
        ["run"], ["run", "--", "x"], ["run", "-H", "local"], ["run", "-H", "a b", "--", "x"],
        ["run", "-H", "-x", "--", "x"],
        ["run", "-H", "local,", "--", "x"], ["run", "-H", "$(x)", "--", "x"],
        ["run", "-H", "local", "--timeout", "0", "--", "x"],
        ["run", "-H", "local", "--timeout", "nan", "--", "x"], ["run", "-H", "local", "--fanout", "0", "--", "x"],
        ["run", "-H", "local", "--env", "x", "--", "x"], ["run", "-H", "local", "--image-policy", "y", "--", "x"],
        ["run", "-H", "local", "--agent", "/nowhere", "--", "x"], ["run", "--hosts-file", "/nowhere", "--", "x"],
        ["run", "-H", "local", "--unknown", "--", "x"], ["ping"], ["facts", "-H", "a;b"], ["doctor"],
        ["doctor", "a b"],
        ["clean"], ["clean", "a\u{1b}b"], ["nonsense"], ["ping", "-H", "local", "--count", "0"],
    ])
    func `Wrong usage gives status 64 and says why`(_ arguments: [String]) async throws {
        let result = try await MartletProgram.run(arguments)
        #expect(result.exitCode == 64, "\(arguments): \(result.errors)")
        #expect(!result.errors.isEmpty)
        #expect(result.output.isEmpty)
    }

    @Test(
        arguments: [
            (["run", "--", "x"], "Error: name hosts with -H", "martlet run -H HOST"),
            (["ping"], "Error: name hosts with -H", "martlet ping "),
            (["run", "-H", "local", "--deadline", "inf", "--", "x"], "from 0.001 to 100000000", "martlet run -H HOST"),
            (["run", "-H", "local", "--timeout", "1e-9", "--", "x"], "from 0.001 to 100000000", "martlet run -H HOST"),
            (["run", "-H", "local", "--dir", "", "--", "x"], "--dir is empty", "martlet run -H HOST"),
            (["run", "-H", "local", "-u", "", "--", "x"], "--user is empty", "martlet run -H HOST"),
            (["run", "-H", "", "--", "x"], "--hosts is empty", "martlet run -H HOST"),
            (["run", "-H", "local", "--", ""], "the command is empty", "martlet run -H HOST"),
            (["run", "--hosts-file", "/nowhere", "--", "x"], "martlet: cannot read /nowhere: No such file", nil),
            (["run", "-H", "@nobody", "--", "x"], "martlet: there is no group \"nobody\"", nil),
            (["shell", "@nobody"], "martlet: there is no group \"nobody\"", nil),
            (["hosts", "--inventory", "/nowhere"], "martlet: cannot read /nowhere: No such file", nil),
            (["get", "-H", "local,local", "/etc/passwd", "/tmp/x"], "martlet: 2 hosts would write to /tmp/x", nil),
            (["clean", ""], "martlet: a host has an empty name", nil),
        ] as [([String], String, String?)])
    func `Only wrong usage is told with a usage, that of the subcommand`(
        _ arguments: [String], error: String, usage: String?
    ) async throws {
        let result = try await MartletProgram.run(arguments)
        #expect(result.exitCode == 64 && result.errors.contains(error), "\(result.errors)")
        if let usage {
            #expect(result.errors.contains("Usage: \(usage)"), "\(result.errors)")
        } else {
            #expect(!result.errors.contains("Usage: "), "\(result.errors)")
        }
    }

    @Test func `A program that closes our output ends the far commands quietly`() async throws {
        let marker = MartletProgram.marker()
        // The second command writes nothing more that could fail: the closed pipe itself is noticed.
        for script in ["yes", "echo x; sleep 300"] {
            let result = try await MartletProgram.shell(
                #"{ "$martlet" run -H local,local --env MARKER=\#(marker) -- '\#(script)'; echo "status $?" >&2; } | head -n 1"#,
                within: .seconds(30))
            #expect(result.outputLines.count == 1)
            #expect(result.errors == "status 141\n")
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
    func `A signal ends everything here and there and what came is told`(_ signal: Int32, status: Int32) async throws {
        let marker = MartletProgram.marker()
        async let running = MartletProgram.run(
            [
                "run", "-H", "local,local,local", "--fanout", "2", "--",
                "echo started; trap '' INT; sleep 300; : \(marker)",
            ])
        var program: ProcessTable.Entry?
        await eventually(within: .seconds(20), "both far commands run") {
            let all = ProcessTable.carrying(marker)
            program = all.first { ProcessTable.entry(of: $0.pid)?.name == "martlet" && isController($0.pid) }
            return all.count { $0.name == "sh" } == 2
        }
        kill(try #require(program).pid, signal)
        let result = try await running
        #expect(result.exitCode == status)
        #expect(result.outputLines.sorted() == ["local#1: started", "local#2: started"])
        #expect(result.errors.contains("3 hosts: 2 interrupted, 1 not started in "))
        await eventually { ProcessTable.carrying(marker).isEmpty }
    }

    /// An agent is called `martlet` too, but has no arguments.
    private func isController(_ pid: Int32) -> Bool {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)) ?? ""
        return text.split(separator: "\0").count > 3
    }

    @Test(arguments: ["run -H local -- echo x", "facts -H local", "hosts local", "specs", "--help"])
    func `What cannot be written is an error`(_ words: String) async throws {
        for (end, reason) in [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
            let run = try await MartletProgram.shell("\"$martlet\" \(words) \(end)")
            #expect(run.exitCode == 1, "\(words) \(end): \(run.errors)")
            #expect(run.errors.hasSuffix("martlet: cannot write to standard output: \(reason)\n"), "\(run.errors)")
        }
    }

    @Test func `Closed descriptors become no other file`() async throws {
        try await withTestFolder { folder async throws in
            try "content".write(toFile: "\(folder)/source", atomically: true, encoding: .utf8)
            let put = try await MartletProgram.shell(
                "\"$martlet\" put -H local \(folder)/source \(folder)/target <&- >&- 2>&-")
            #expect(put.exitCode == 1 && text(of: "\(folder)/target") == "content")
            let read = try await MartletProgram.shell("\"$martlet\" run -H local --no-prefix -- cat <&-")
            #expect(read.exitCode == 0 && read.output.isEmpty, "\(read.errors)")
        }
    }

    @Test func `Words that are not UTF-8 are refused, as another file would be meant`() async throws {
        let run = try await MartletProgram.shell(#""$martlet" run -H local -- rm "$(printf 'caf\351')""#)
        #expect(run.exitCode == 64 && run.output.isEmpty)
        #expect(run.errors.hasPrefix("martlet: argument 6 is not UTF-8: caf"), "\(run.errors)")
    }

    @Test func `After an interruption JSON still has a result for each host`() async throws {
        let marker = MartletProgram.marker()
        let result = try await MartletProgram.run(
            [
                "run", "-H", "local,local,local", "--fanout", "1", "--json", "--",
                "kill -INT $(ps -o ppid= -p $PPID); sleep 300; : \(marker)",
            ])
        let events = try jsonLines(result.output)
        #expect(result.exitCode == 130)
        #expect(
            events.filter { $0["event"] as? String == "result" }.compactMap { $0["interrupted"] as? Bool } == [
                true, true, true,
            ])
        #expect(events.last?["interrupted"] as? Int == 3)
        await eventually { ProcessTable.carrying(marker).isEmpty }
    }
}
