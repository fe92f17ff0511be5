import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletFleet

/// Real machines: two gateways behind a bastion, and three hosts that are reached through those.
@Suite(
    .leakChecked,
    .enabled("needs root, namespaces and openssh-server") { await ThrowawayMachine.obstacle() == nil && hasSSHServer },
    .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes")
)
struct GatewayNetworkTests {
    private func withGroup(
        _ body: @Sendable (TestNetwork, Group) async throws -> Void
    ) async throws {
        try await withTestNetwork(hiddenHosts: 5) { network async throws in
            var options = OutputLog().staticOptions
            options.heartbeatLimit = .seconds(3)
            try await withMartlet(options) { martlet in
                let bastion = MemberSpec(
                    .ssh(network.bastion.alias, configuration: network.configPath), name: "bastion")
                func inner(_ number: Int) -> MemberSpec {
                    let host = network.hidden[number]
                    return MemberSpec(.ssh(host.alias, configuration: network.innerConfigPath), name: host.name)
                }
                var options = GroupOptions()
                options.gateways = (0...1).map { number in
                    var gateway = inner(number)
                    gateway.gateways = [bastion]
                    return gateway
                }
                let group = try martlet.group((2...4).map(inner), options: options)
                try await group.closing { group in try await body(network, group) }
            }
        }
    }

    @Test func `The image and a file cross the cable to the bastion, and those to the gateways, once`() async throws {
        try await withGroup { network, group async throws in
            let cables = [network.bastion] + network.hidden.prefix(2)
            func sent() throws -> [Int] { try cables.map { try network.bytesSent(to: $0) } }
            let start = try sent()
            try await group.connect().get()
            // What each machine was sent, in whichever way it was packed.
            let gateways = group.gateways()
            let images = ([gateways[0].gateways!.set.gateways[0]] + gateways).map {
                $0.native.current!.timings.bytesSent
            }
            for ((cable, image), bytes) in zip(zip(cables, images), zip(try sent(), start).map(-)) {
                #expect(image > 1_000_000)
                #expect(
                    bytes > image && bytes < image * 5 / 4, "\(bytes) bytes to \(cable.name), the image has \(image)")
            }
            let names = try await group.run("hostname").get().map(\.lines)
            #expect(names == [["hidden-3"], ["hidden-4"], ["hidden-5"]])
            let size = 6 << 20
            let before = try sent()
            let results = try await group.put(bytes: pattern(size), to: "/root/file")
            #expect(results.allSucceeded, "\(results.map(\.outcome))")
            for (cable, bytes) in zip(cables, zip(try sent(), before).map(-)) {
                #expect(bytes > size && bytes < size * 5 / 4, "\(bytes) bytes to \(cable.name) for \(size)")
            }
            #expect(
                try await group.run("wc -c </root/file").get().map(\.lines) == Array(repeating: ["\(size)"], count: 3))
        }
    }

    @Test func `A gateway that is killed, and then one that is cut off: the hosts are reached through the other`()
        async throws
    {
        try await withGroup { network, group async throws in
            #expect(try await group.connect().allSucceeded)
            let place = try #require(group.indices.first { group.gateway($0).spec.name == "hidden-1" })
            let behind = group.indices.filter { group.gateway($0) === group.gateway(place) }
            let run = Task { try await group.run("echo x >>/root/begun; while [ ! -e /root/go ]; do sleep 0.02; done") }
            let hosts = network.hidden.suffix(3)
            func begun(_ host: TestNetwork.Host) async throws -> Int {
                let list = host.machine.commandPrefix + ["sh", "-c", "wc -l </root/begun || echo 0"]
                return Int(try await runProgram(list).output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
            }
            for host in hosts { await eventually { try await begun(host) == 1 } }
            let agent = try #require(group.gateway(place).processID)
            _ = try await runProgram(network.hidden[0].machine.commandPrefix + ["kill", "-9", "\(agent)"])
            for host in hosts {
                _ = try await runProgram(host.machine.commandPrefix + ["touch", "/root/go"])
            }
            let results = try await run.value
            for index in group.indices {
                #expect(
                    results[index].outcome.kind == (behind.contains(index) ? .unreachable : .ok), "\(results[index])")
            }
            // It is moved, and nothing was run twice.
            await eventually(within: .seconds(20)) { try await group.run("true").allSucceeded }
            #expect(group.indices.allSatisfy { group.gateway($0).spec.name == "hidden-2" })
            for host in hosts { #expect(try await begun(host) == 1) }
            // Nobody hears of this end.
            try await network.cut(network.hidden[1])
            let lost = try await group.run("true")
            #expect(lost.allSatisfy { [.ok, .unreachable].contains($0.outcome.kind) })
            await eventually(within: .seconds(40)) { try await group.run("true").allSucceeded }
            #expect(group.indices.allSatisfy { group.gateway($0).spec.name == "hidden-1" })
            try await network.heal(network.hidden[1])
        }
    }
}
