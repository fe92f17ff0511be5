import Foundation
import MartletTestKit
import Testing

/// Batches, checks behind them, budgets of failures, deadlines and further tries.
@Suite(.leakChecked) struct StrategyTests {
    private let five = "local,local,local,local,local"
    private let note = #"echo x >> "$notes""#

    @Test func `A check that fails behind a batch skips all that follow, and says why`() async throws {
        try await withTestFolder { folder async throws in
            let words = [
                "-H", five, "--batches", "1,2,rest", "--env", "notes=\(folder)/n", "--verify",
                #"echo seen; test $(wc -l < "$notes") -lt 3"#, "--", note,
            ]
            let run = try await MartletProgram.run(["run"] + words)
            #expect(run.exitCode == 4, "\(run.errors)")
            #expect(text(of: "\(folder)/n") == "x\nx\nx\n")
            #expect(run.errors.contains("batch 1 of 3 is good"), "\(run.errors)")
            #expect(run.errors.contains("local#2: batch 2 of 3 is not good: exit code 1 of --verify\n  seen\n"))
            #expect(run.errors.contains("the check behind batch 2 failed: on local#[2-3]\n"))
            #expect(run.errors.contains("5 hosts: 3 succeeded, 2 skipped in "))
            #expect(run.errors.hasSuffix("  skipped: local#[4-5]\n"))
            let json = try await MartletProgram.run(["run", "--json"] + words)
            let events = try jsonLines(json.output)
            #expect(json.exitCode == 4)
            let checks = events.filter { $0["event"] as? String == "check" }
            #expect(checks.map { $0["ok"] as? Bool } == [false] && checks[0]["failed"] as? [String] == ["local"])
            let skipped = events.filter { ($0["skipped"] as? String)?.hasPrefix("the check behind") == true }
            #expect(skipped.compactMap { $0["index"] as? Int } == [1, 2, 3, 4])
            #expect(events.last?["skipped"] as? Int == 4 && events.last?["interrupted"] as? Int == 0)
            #expect((events.last?["stopped"] as? String)?.hasPrefix("the check behind batch 1") == true)
        }
    }

    @Test func `A check behind the last batch counts too`() async throws {
        let run = try await MartletProgram.run(["run", "-q", "-H", "local,local", "--verify", "exit 3", "--", "true"])
        #expect(run.exitCode == 4 && run.errors.contains("2 hosts: 2 succeeded in "), "\(run.errors)")
        #expect(run.errors.contains("local#1: batch 1 of 1 is not good: exit code 3 of --verify\n"))
    }

    @Test func `Of a batch in which nobody succeeded no check is told`() async throws {
        let run = try await MartletProgram.run([
            "run", "-H", "local?nice=1,local", "--serial", "--max-failures", "1", "--verify", "true", "--",
            "test $(nice) = 0",
        ])
        #expect(run.exitCode == 1 && run.errors.contains("batch 2 of 2 is good"), "\(run.errors)")
        #expect(!run.errors.contains("batch 1 of 2"), "\(run.errors)")
    }

    @Test func `One after the other, each is checked before the next begins`() async throws {
        try await withTestFolder { folder async throws in
            let run = try await MartletProgram.run([
                "run", "-H", "local,local,local", "--serial", "--env", "notes=\(folder)/n", "--verify",
                #"test $(wc -l < "$notes") -lt 2"#, "--", note,
            ])
            #expect(run.exitCode == 4, "\(run.errors)")
            #expect(text(of: "\(folder)/n") == "x\nx\n")
            #expect(run.errors.contains("local#2: batch 2 of 3 is not good"), "\(run.errors)")
            #expect(run.errors.contains("3 hosts: 2 succeeded, 1 skipped in "), "\(run.errors)")
        }
    }

    @Test func `One after the other, until more have failed than may`() async throws {
        try await withTestFolder { folder async throws in
            let words = ["--env", "notes=\(folder)/n", "--", note + #"; test $(wc -l < "$notes") != 2"#]
            let strict = try await MartletProgram.run(["run", "-H", five, "--serial"] + words)
            #expect(
                strict.exitCode == 4 && strict.errors.contains("1 succeeded, 1 failed, 3 skipped"), "\(strict.errors)")
            #expect(strict.errors.contains("stopped when 1 had failed, where 0 may\n"))
            try FileManager.default.removeItem(atPath: "\(folder)/n")
            let lenient = try await MartletProgram.run(
                ["run", "-H", five, "--serial", "--max-failures", "20%"] + words)
            #expect(lenient.exitCode == 1 && lenient.errors.contains("4 succeeded, 1 failed in "), "\(lenient.errors)")
        }
    }

    @Test func `A host has so much time in all`() async throws {
        let marker = MartletProgram.marker()
        let run = try await MartletProgram.run([
            "run", "-H", "local,local", "--deadline", "4", "--json", "--", "echo first; sleep 300; : \(marker)",
        ])
        #expect(run.exitCode == 1)
        let results = try jsonLines(run.output).filter { $0["event"] as? String == "result" }
        #expect(results.map { $0["timedOut"] as? Bool } == [true, true])
        let error = results.first?["error"] as? [String: Any]
        #expect(error?["message"] as? String == "not done within the 4 s of --deadline", "\(run.output)")
        await eventually { ProcessTable.carrying(marker).isEmpty }
    }

    @Test(.enabled(if: MartletProgram.hasServer, "needs OpenSSH's server"))
    func `A connect that fails is tried again, what runs is not, and time for it is bounded`() async throws {
        try await withThrowawaySSHD { sshd async throws in
            try await withTestFolder { folder async throws in
                // Who comes first finds a port where nobody listens.
                try """
                Match exec "date +%%s.%%N >>\(folder)/log; mkdir \(folder)/first 2>>\(folder)/log"
                    Port 1
                Match all
                Include \(sshd.configPath)
                """.write(toFile: "\(folder)/config", atomically: true, encoding: .utf8)
                let way = ["-F", "\(folder)/config", "-H", sshd.hostAlias, "--retry", "1"]
                let run = try await MartletProgram.run(["run"] + way + ["--", "echo fine; exit 9"])
                #expect(run.exitCode == 1 && run.output == "\(sshd.hostAlias): fine\n", "\(run.errors)")
                #expect(
                    run.errors.contains("\(sshd.hostAlias): trying again in "),
                    "\(text(of: "\(folder)/log"))\(run.errors)")
                #expect(run.errors.contains("exit code 9"))
            }
            let closed = sshd.hostAlias(.closedPort)
            let late = try await MartletProgram.run([
                "run", "-F", sshd.configPath, "-H", closed, "--retry", "9", "--deadline", "0.2", "--", "true",
            ])
            #expect(late.exitCode == 3 && late.errors.contains("not reached within the 0.2 s"), "\(late.errors)")
        }
    }

    @Test func `Files go in batches, too, with a check behind each`() async throws {
        try await withTestFolder { folder async throws in
            try "new".write(toFile: "\(folder)/source", atomically: true, encoding: .utf8)
            let put = try await MartletProgram.run([
                "put", "-H", "local,local,local", "--batches", "1,rest", "--verify", "test -e \(folder)/good",
                "\(folder)/source", "\(folder)/target",
            ])
            #expect(put.exitCode == 4 && put.errors.contains("3 hosts: 1 succeeded, 2 skipped in "), "\(put.errors)")
            #expect(text(of: "\(folder)/target") == "new")
        }
    }

    @Test(arguments: [
        ["--batches", "0"], ["--batches", "1,,2"], ["--batches", "101%"], ["--batches", "rest,x"],
        ["--serial", "--batches", "1"], ["--max-failures", "-1"], ["--max-failures", "x%"], ["--retry", "-1"],
        ["--deadline", "0"], ["--verify", ""], ["--verify", " "],
    ])
    func `A strategy that is none is refused`(_ words: [String]) async throws {
        let run = try await MartletProgram.run(["run", "-H", "local"] + words + ["--", "true"])
        #expect(run.exitCode == 64 && !run.errors.isEmpty && run.output.isEmpty, "\(words): \(run.errors)")
    }
}
