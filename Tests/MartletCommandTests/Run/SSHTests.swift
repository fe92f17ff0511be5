import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked, .enabled(if: MartletProgram.hasServer, "needs OpenSSH's server"))
struct SSHTests {
    @Test func `run, ping, facts, doctor and clean work over ssh`() async throws {
        try await withThrowawaySSHD { sshd in
            let way = ["-F", sshd.configPath]
            let run = try await MartletProgram.run(
                ["run"] + way + ["-H", "\(sshd.hostAlias),\(sshd.hostAlias)", "--", "echo $HOME"])
            #expect(run.exitCode == 0, "\(run.errors)")
            #expect(run.outputLines.sorted() == [1, 2].map { "\(sshd.hostAlias)#\($0): \(sshd.home)" })
            let ping = try await MartletProgram.run(["ping"] + way + ["-H", sshd.hostAlias, "--json"])
            #expect(try jsonLines(ping.output)[0]["cached"] as? Bool == true)
            let facts = try await MartletProgram.run(["facts"] + way + ["-H", sshd.hostAlias])
            #expect(facts.exitCode == 0)
            let doctor = try await MartletProgram.run(["doctor"] + way + [sshd.hostAlias])
            #expect(doctor.exitCode == 0, "\(doctor.output)")
            for step in ["ssh", "reach", "authenticate", "boot", "handshake", "connected", "cache"] {
                #expect(doctor.output.contains("  ok     \(step)"))
            }
            let clean = try await MartletProgram.run(["clean"] + way + [sshd.hostAlias])
            #expect(clean.output.hasPrefix("\(sshd.hostAlias): removed 1 file, "), "\(clean.output) \(clean.errors)")
            let again = try await MartletProgram.run(["clean"] + way + [sshd.hostAlias])
            #expect(again.output.hasPrefix("\(sshd.hostAlias): nothing to remove in "))
        }
    }

    @Test func `A host that is not reached does not harm the others`() async throws {
        try await withThrowawaySSHD { sshd in
            let (good, bad) = (sshd.hostAlias, sshd.hostAlias(.closedPort))
            let text = try await MartletProgram.run([
                "run", "-F", sshd.configPath, "-H", "\(bad),\(good)", "--", "echo fine",
            ])
            #expect(text.exitCode == 3)
            #expect(text.output == "\(good): fine\n")
            #expect(text.errors.contains("\(bad): error: \(bad) refused the connection"))
            #expect(text.errors.contains("2 hosts: 1 succeeded, 1 not reached in "))
            let json = try await MartletProgram.run([
                "run", "-F", sshd.configPath, "-H", "\(bad),\(good)", "--json", "--", "exit 4",
            ])
            #expect(json.exitCode == 3)
            let results = try jsonLines(json.output).filter { $0["event"] as? String == "result" }
            let failed = try #require(results.first { $0["index"] as? Int == 0 })
            let error = try #require(failed["error"] as? [String: Any])
            #expect(error["code"] as? String == "unreachable")
            #expect(error["phase"] as? String == "reach")
            #expect((error["detail"] as? String)?.contains("Connection refused") == true)
            #expect(error["advice"] is String)
            #expect(results.first { $0["index"] as? Int == 1 }?["exit"] as? Int == 4)
        }
    }

    @Test func `doctor names the phase that fails and what to try`() async throws {
        try await withThrowawaySSHD { sshd in
            for (variant, phase) in [
                (ThrowawaySSHD.Variant.closedPort, "reach"), (.refusedKey, "authenticate"),
                (.unknownHostKey, "authenticate"),
            ] {
                let result = try await MartletProgram.run(["doctor", "-F", sshd.configPath, sshd.hostAlias(variant)])
                #expect(result.exitCode == 3)
                #expect(result.output.contains("  FAILED \(phase)"), "\(result.output)")
                #expect(result.output.contains("try: "))
            }
        }
    }

    @Test func `A name that nobody knows is said to be one`() async throws {
        let result = try await MartletProgram.run(["run", "-F", "/dev/null", "-H", "nobody.invalid", "--", "true"])
        #expect(result.exitCode == 3)
        #expect(
            result.errors.hasPrefix("nobody.invalid: error: there is no host called nobody.invalid"), "\(result.errors)"
        )
    }

    @Test func `What ssh does not take is told as that, and a key that is not there before`() async throws {
        for way in [["-F", "/nowhere/config"], ["-o", "Nonsense=1"]] {
            let run = try await MartletProgram.run(["run"] + way + ["-H", "nobody.invalid", "--", "true"])
            #expect(run.exitCode == 3)
            #expect(
                run.errors.contains("error: ssh does not take its options or its configuration file"), "\(run.errors)")
        }
        let key = try await MartletProgram.run(["run", "-i", "/nowhere/key", "-H", "nobody.invalid", "--", "true"])
        #expect(key.exitCode == 64 && key.errors.contains("--identity: there is no key /nowhere/key"), "\(key.errors)")
    }

    @Test func `An interruption ends far commands over ssh`() async throws {
        try await withThrowawaySSHD { sshd in
            let marker = MartletProgram.marker()
            async let running = MartletProgram.shell(
                #"exec "$martlet" run -F '\#(sshd.configPath)' -H \#(sshd.hostAlias) -- 'echo up; sleep 300; : \#(marker)'"#
            )
            var programs: [ProcessTable.Entry] = []
            await eventually(within: .seconds(30), "the far command runs") {
                programs = ProcessTable.carrying(marker)
                return programs.contains { $0.name == "sh" }
            }
            kill(try #require(programs.first { $0.name == "martlet" }).pid, SIGINT)
            let result = try await running
            #expect(result.exitCode == 130)
            #expect(result.output == "\(sshd.hostAlias): up\n")
            await eventually { ProcessTable.carrying(marker).isEmpty }
        }
    }
}
