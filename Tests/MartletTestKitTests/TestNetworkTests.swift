import MartletTestKit
import Testing

@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct TestNetworkTests {
    @Test func `a cut network is silent, a healed one goes on, a crash is heard`() async throws {
        try await withTestNetwork { network in
            let host = network.bastion
            let ssh = ["ssh", "-F", network.configPath, "-o", "BatchMode=yes"]
            #expect(try await runProgram(ssh + [host.alias, "hostname"]).output == "bastion\n")

            let alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]
            async let cut = runProgram(ssh + alive + [host.alias, "exec sleep 86394"])
            await eventually { host.machine.programs().contains { $0.name == "sleep" } }
            try await network.cut(host)
            let silence = try await cut
            #expect(silence.exitCode == 255)
            try await network.heal(host)
            #expect(try await runProgram(ssh + [host.alias, "echo back"]).output == "back\n")

            async let lost = runProgram(ssh + [host.alias, "exec sleep 86395"])
            await eventually { host.machine.programs().contains { $0.commandLine.contains("86395") } }
            await network.crash(host)
            #expect(try await lost.exitCode == 255)
        }
    }

    @Test func `hidden hosts are reached through the bastion alone, each cut and slowed for itself`() async throws {
        try await withTestNetwork(hiddenHosts: 3) { network in
            let ssh = ["ssh", "-F", network.configPath, "-o", "BatchMode=yes"]
            for host in network.hidden {
                #expect(try await runProgram(ssh + [host.alias, "hostname"]).output == "\(host.name)\n")
                let route = try await runProgram(network.controllerPrefix + ["ip", "route", "get", host.address])
                #expect(route.exitCode != 0)
            }
            let inner = ["ssh", "-F", network.innerConfigPath, "-o", "ConnectTimeout=2"]
            let named = network.hidden.map { (inner + [$0.alias, "hostname"]).joined(separator: " ") }
            try await network.cut(network.hidden[0])
            let all = try await network.bastion.machine.run(named.joined(separator: "; "))
            #expect(all.output == "hidden-2\nhidden-3\n", "\(all.errors)")
            try await network.heal(network.hidden[0])
            #expect(try await runProgram(ssh + [network.hidden[0].alias, "hostname"]).output == "hidden-1\n")

            let slow = network.hidden[1]
            try await network.slow(slow, to: 4_000)
            let before = try network.bytesSent(to: slow)
            let start = ContinuousClock.now
            let copy = try await network.bastion.machine.run(
                "head -c 1000000 /dev/urandom | \(inner.joined(separator: " ")) \(slow.alias) 'wc -c'")
            #expect(copy.output == "1000000\n", "\(copy.errors)")
            #expect(try network.bytesSent(to: slow) - before > 1_000_000)
            // A million bytes at four megabits per second take two seconds; the first 32 KiB go at once.
            #expect(ContinuousClock.now - start > .seconds(1.5))
        }
    }
}
