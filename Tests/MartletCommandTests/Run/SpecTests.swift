import Foundation
import MartletTestKit
import Testing

/// Specs on the command line.
@Suite(.leakChecked) struct SpecTests {
    @Test func `Every command takes chains, and ranges in them`() async throws {
        let run = try await MartletProgram.run(["run", "-H", "local?env=A=[1-2]/local:", "--", "echo $A"])
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.outputLines.sorted() == ["local/local#1: 1", "local/local#2: 2"])
        let json = try await MartletProgram.run(["ping", "-c", "1", "-H", "local/local,local", "--json"])
        #expect(try Set(jsonLines(json.output).compactMap { $0["host"] as? String }) == ["local/local", "local"])
        let facts = try await MartletProgram.run(["facts", "-H", "local/local"])
        #expect(facts.exitCode == 0, "\(facts.errors)")
        let doctor = try await MartletProgram.run(["doctor", "local/local?nice=1"])
        #expect(doctor.exitCode == 0, "\(doctor.output)")
        #expect(doctor.output.contains("Starting a local context (hop 2 of 2)"))
        #expect(doctor.output.contains("local/local is fine"))
    }

    @Test func `All hosts are reached through the hops of --via`() async throws {
        let result = try await MartletProgram.run([
            "run", "--via", "local?env=A=1", "--via", "local?env=B=2", "-H", "local", "--no-prefix", "--",
            "echo $A$B; ps -o ppid= $PPID",
        ])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.outputLines.first == "12")
    }

    @Test(arguments: [
        (
            ["run", "-H", "local,local/sduo:x", "--", "true"],
            ["  local/sduo:x", "        ^^^^ did you mean \"sudo\"?"]
        ),
        (["ping", "-H", "ssh:a?identiy=k"], ["  ssh:a?identiy=k", "        ^^^^^^^ did you mean \"identity\"?"]),
        (["facts", "-H", "web[3-1]"], ["  web[3-1]", "      ^^^"]),
        (["doctor", "ssh:a?password=hunter2"], ["  ssh:a?password=***", "        ^^^^^^^^"]),
        (["clean", "web/x"], ["  web/x", "      ^"]),
        (["run", "--via", "lcal:", "-H", "a", "true"], ["  lcal:", "  ^^^^ did you mean \"local\"?"]),
    ])
    func `A mistake is pointed at, and the status is that of wrong usage`(
        _ arguments: [String], lines: [String]
    ) async throws {
        let result = try await MartletProgram.run(arguments)
        #expect(result.exitCode == 64)
        #expect(result.errors.contains(lines.joined(separator: "\n") + "\n"), "\(result.errors)")
        #expect(!result.errors.contains("hunter2"))
    }

    @Test func `A mistake in a file says the line`() async throws {
        let result = try await MartletProgram.run(
            ["run", "--hosts-file", "-", "--", "true"], input: "# all\nlocal\n\nlocal/x # one more\n")
        #expect(result.exitCode == 64)
        #expect(
            result.errors.contains("-:4: there is no way in called \"x\"\n  local/x\n        ^\n"), "\(result.errors)")
    }

    @Test func `specs tells all kinds, and how a spec is read`() async throws {
        let all = try await MartletProgram.run(["specs"])
        #expect(all.exitCode == 0)
        for word in ["ssh:[user@]host[:port]", "identity=PATH", "local", "env=NAME=VALUE"] {
            #expect(all.output.contains(word))
        }
        let one = try await MartletProgram.run(["specs", "root@web[1-2]:22?identity=~/k/local:"])
        #expect(
            one.output
                == (1...2).map {
                    """
                    ssh:root@web\($0):22?identity=~/k/local:
                      1  ssh:root@web\($0):22
                           identity = ~/k
                      2  local

                    """
                }.joined())
    }

    @Test(.enabled(if: MartletProgram.hasServer, "needs OpenSSH's server"))
    func `Options of ssh hold for the ssh of a spec that starts here`() async throws {
        try await withThrowawaySSHD { sshd in
            let way = ["-F", sshd.configPath]
            let chain = try await MartletProgram.run(
                ["run"] + way + ["-H", "ssh:\(sshd.hostAlias)/local", "--", "echo $HOME"])
            #expect(chain.output == "ssh:\(sshd.hostAlias)/local: \(sshd.home)\n", "\(chain.errors)")
            let second = "ssh:\(sshd.hostAlias)?config=\(sshd.configPath)"
            let via = try await MartletProgram.run(
                ["run"] + way + ["--via", sshd.hostAlias, "-H", second, "--json", "--", "true"])
            #expect(via.exitCode == 0, "\(via.errors)")
            let doctor = try await MartletProgram.run(["doctor"] + way + ["--via", sshd.hostAlias, second])
            #expect(doctor.exitCode == 0, "\(doctor.output)")
            #expect(doctor.output.contains("Connecting to ssh:\(sshd.hostAlias) (hop 2 of 2)"))
            let bad = try await MartletProgram.run(
                ["run"] + way + [
                    "--via", sshd.hostAlias, "-H", "ssh:\(sshd.hostAlias(.closedPort))?config=\(sshd.configPath)", "--",
                    "true",
                ])
            #expect(bad.exitCode == 3)
            #expect(
                bad.errors.contains("controller → ssh:\(sshd.hostAlias) → ssh:\(sshd.hostAlias(.closedPort))"),
                "\(bad.errors)")
        }
    }
}
