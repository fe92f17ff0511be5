import Foundation
import MartletTestKit
import Testing

/// How a hub ends, whatever has become of it, and who cannot use one.
extension HubTests {
    @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
    func `A signal ends the hub, its contexts and its socket`(_ signal: Int32) async throws {
        try await withHub { sshd, hub async throws in
            let up = try await hub.run(["up"] + hub.way + ["-H", "\(sshd.hostAlias),local"])
            #expect(up.exitCode == 0, "\(up.errors)")
            #expect(up.outputLines.contains { $0.hasPrefix("local ") && $0.hasSuffix("which needs no hub") })
            let process = try #require(try await hub.process())
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd") == "/")
            let run = try await hub.run(["run"] + hub.way + ["-H", sshd.hostAlias, "--no-prefix", "--", "echo $PPID"])
            let agent = try #require(Int32(run.outputLines.first ?? ""), "\(run.output)")
            #expect(ProcessTable.entry(of: agent) != nil)
            kill(process, signal)
            await eventually { !FileManager.default.fileExists(atPath: "/proc/\(process)") }
            #expect(!FileManager.default.fileExists(atPath: hub.folder))
            await eventually { ProcessTable.entry(of: agent)?.isAlive != true }
        }
    }

    @Test func `A hub that has lost its socket is named by up, and ended by down`() async throws {
        try await withHub { _, hub async throws in
            #expect(try await hub.run(["up"]).exitCode == 0)
            let process = try #require(try await hub.process())
            try FileManager.default.removeItem(atPath: "\(hub.folder)/hub")
            let up = try await hub.run(["up"])
            #expect(up.exitCode == 1 && up.errors.contains("process \(process), "), "\(up.errors)")
            #expect(up.errors.contains("'martlet down' ends it"), "\(up.errors)")
            let down = try await hub.run(["down"])
            #expect(down.exitCode == 0, "\(down.errors)")
            #expect(down.output == "the hub (process \(process)) has lost its socket: ended by SIGTERM\n")
            #expect(ProcessTable.entry(of: process)?.isAlive != true)
        }
    }

    @Test func `Commands say that they do without a hub that does not answer, and down ends it`() async throws {
        try await withHub { sshd, hub async throws in
            #expect(try await hub.run(["up"]).exitCode == 0)
            let process = try #require(try await hub.process())
            kill(process, SIGSTOP)
            let message = "martlet: the hub (process \(process)) does not answer"
            async let running = hub.run(["run"] + hub.way + ["-H", sshd.hostAlias, "--", "echo fine"])
            async let looking = hub.run(["tree"])
            let (run, tree) = try await (running, looking)
            #expect(run.exitCode == 0 && run.output == "\(sshd.hostAlias): fine\n")
            #expect(run.errors == message + ": connecting without it\n")
            #expect(tree.exitCode == 1 && tree.errors.hasPrefix(message), "\(tree.errors)")
            #expect(tree.errors.contains("\(hub.folder)/hub\n"), "\(tree.errors)")
            #expect(tree.errors.contains("try: 'martlet down' ends it"), "\(tree.errors)")
            let down = try await hub.run(["down"])
            #expect(down.exitCode == 0, "\(down.errors)")
            #expect(down.output == "the hub (process \(process)) does not answer: ended by SIGTERM\n")
            #expect(ProcessTable.entry(of: process)?.isAlive != true)
        }
    }

    @Test func `Of hosts behind gateways the hub keeps those`() async throws {
        try await withHub { sshd, hub async throws in
            try await withTestFolder { folder async throws in
                try "[groups.rack]\nhosts = ['a', 'b']\nspec = 'local'\nvia = ['\(sshd.hostAlias)']\n".write(
                    toFile: "\(folder)/inventory", atomically: true, encoding: .utf8)
                let inventory = ["MARTLET_INVENTORY": "\(folder)/inventory"]
                let up = try await hub.run(["up"] + hub.way + ["-H", "@rack"], inventory)
                #expect(up.exitCode == 0 && up.outputLines.count == 2, "\(up.output)\(up.errors)")
                #expect(up.outputLines.last?.hasPrefix("\(sshd.hostAlias)  connected in ") == true, "\(up.output)")
                let run = try await hub.run(["run"] + hub.way + ["-H", "@rack", "--", "echo fine"], inventory)
                #expect(run.exitCode == 0 && run.outputLines.sorted() == ["a: fine", "b: fine"], "\(run.errors)")
                #expect(try await hub.uses() == [sshd.hostAlias: 1])
            }
        }
    }

    @Test func `Ctrl-C ends up while a host hangs, and the hub stays`() async throws {
        try await withHub { sshd, hub async throws in
            #expect(try await hub.run(["up"]).exitCode == 0)
            let marker = MartletProgram.marker()
            async let running = hub.run(
                ["up"] + hub.way + ["-H", sshd.hostAlias, "-o", "ProxyCommand=sh -c 'sleep 300; : \(marker)'"])
            var up: ProcessTable.Entry?
            await eventually("the hub's ssh waits") {
                let all = ProcessTable.carrying(marker)
                up = all.first { $0.name == "martlet" }
                return all.contains { $0.name == "sh" }
            }
            kill(try #require(up).pid, SIGINT)
            let result = try await running
            #expect(result.exitCode == 130 && result.output == "the hub is up already\n", "\(result.output)")
            #expect(result.errors == "ended by Ctrl-C\n")
            await eventually { ProcessTable.carrying(marker).isEmpty }
            #expect(try await hub.process() != nil)
        }
    }

    @Test(arguments: [
        (["-H", "local"], "the hub cannot connect local: that is this machine, which needs no hub"),
        (["-H", "local,sudo"], "all of these hosts are this machine, which needs no hub"),
        (["-H", "web1,local", "-K"], "the hub cannot connect web1: it has no terminal to ask at, "),
        (["-H", "ssh:web1?identity=key"], "the hub cannot connect ssh:web1: key is found from this directory, "),
        (
            ["-H", "web1", "-o", "UserKnownHostsFile=/dev/null hosts"],
            "the hub cannot connect web1: hosts is found from "
        ),
        (["-H", "vagrant:web"], "the hub cannot connect vagrant:web: the Vagrantfile of vagrant:web is found from "),
    ])
    func `What a hub cannot connect is told with the reason`(_ words: [String], _ reason: String) async throws {
        let up = try await MartletProgram.run(["up"] + words, environment: ["MARTLET_HUB": "/nowhere/hub"])
        #expect(up.exitCode == 64 && up.errors.hasPrefix("martlet: \(reason)"), "\(up.errors)")
    }
}
