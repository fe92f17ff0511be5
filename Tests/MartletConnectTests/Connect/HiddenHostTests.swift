import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// The way to hosts that the controller cannot reach, over cables that are slow or cut.
@Suite(
    .leakChecked,
    .enabled("needs root, namespaces and openssh-server") { await ThrowawayMachine.obstacle() == nil && hasSSHServer }
)
struct HiddenHostTests {
    private func connectAll(_ network: TestNetwork, through bastion: Context) async throws -> [Context] {
        try await withThrowingTaskGroup(of: (Int, Context).self) { group in
            for (index, host) in network.hidden.enumerated() {
                group.addTask {
                    (index, try await bastion.connect(.ssh(host.alias, configuration: network.innerConfigPath)))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    private func options(heartbeatLimit: Duration = .seconds(60)) throws -> MartletOptions {
        var options = OutputLog().options
        options.images = .executables([try #require(staticAgent)])
        options.heartbeatLimit = heartbeatLimit
        return options
    }

    @Test(.enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"))
    func `Over a slow link to the bastion the image goes once, however many hosts are behind it`() async throws {
        try await withTestNetwork(hiddenHosts: 4) { network in
            try await network.slow(network.bastion, to: 20_000)
            try await withMartlet(try options()) { martlet in
                let start = try network.bytesSent(to: network.bastion)
                let bastion = try await martlet.connect(
                    .ssh(network.bastion.alias, configuration: network.configPath))
                let first = try network.bytesSent(to: network.bastion) - start
                #expect(first > 1_000_000, "\(first)")
                let hidden = try await connectAll(network, through: bastion)
                let others = try network.bytesSent(to: network.bastion) - start - first
                #expect(others < 200_000, "\(others) bytes for four more hosts, \(first) for the first")
                for (context, host) in zip(hidden, network.hidden) {
                    #expect(try await context.run("hostname").lines == [host.name])
                    #expect(!context.timings.wasCached)
                    #expect(context.route.steps == bastion.route.steps + ["ssh:\(host.alias)"])
                    let sent = try network.bytesSent(to: host)
                    let image = context.timings.bytesSent
                    #expect(
                        image > 1_000_000 && sent > image, "\(sent) bytes to \(host.name), \(image) of them the image")
                }
            }
            for host in [network.bastion] + network.hidden {
                await eventually { host.machine.programs().allSatisfy { $0.name.hasPrefix("sshd") } }
            }
        }
    }

    @Test func `By ProxyJump a hidden host is one step`() async throws {
        try await withTestNetwork(hiddenHosts: 1) { network in
            try await withMartlet(OutputLog().options) { martlet in
                let host = network.hidden[0]
                let context = try await martlet.connect(.ssh(host.alias, configuration: network.configPath))
                #expect(context.route.steps == ["ssh:\(host.alias)"])
                #expect(try await context.run("hostname").lines == ["hidden-1"])
                let bytes = pattern(2 << 20)
                #expect(try await context.call(Echo(value: bytes)) == bytes)
            }
        }
    }

    @Test(.enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"))
    func `A host that is cut off is lost alone, its neighbours work on, and it comes back`() async throws {
        try await withTestNetwork(hiddenHosts: 3) { network in
            try await withMartlet(try options(heartbeatLimit: .seconds(2))) { martlet in
                let bastion = try await martlet.connect(
                    .ssh(network.bastion.alias, configuration: network.configPath))
                let hidden = try await connectAll(network, through: bastion)
                let command = Task { try await hidden[0].run("(trap '' TERM HUP; sleep 86396) & sleep 86396") }
                let sleeps: @Sendable () -> Int = {
                    network.hidden[0].machine.programs().filter { $0.commandLine == ["sleep", "86396"] }.count
                }
                await eventually(within: .seconds(20)) { sleeps() == 2 }
                try await network.cut(network.hidden[0])
                let error = await #expect(throws: MartletError.self) { try await command.value }
                #expect(error?.code == .contextLost)
                #expect(error?.route == hidden[0].route)
                for context in hidden.dropFirst() + [bastion] {
                    #expect(try await context.run("echo fine").lines == ["fine"])
                }
                // It has heard nothing, and ends by itself.
                await eventually(within: .seconds(20)) { sleeps() == 0 }
                try await network.heal(network.hidden[0])
                let again = try await bastion.connect(
                    .ssh(network.hidden[0].alias, configuration: network.innerConfigPath))
                #expect(try await again.run("hostname").lines == ["hidden-1"])
            }
        }
    }

    @Test(.enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"))
    func `When the bastion is cut off, all behind it ends`() async throws {
        try await withTestNetwork(hiddenHosts: 2) { network in
            try await withMartlet(try options(heartbeatLimit: .seconds(2))) { martlet in
                let bastion = try await martlet.connect(
                    .ssh(network.bastion.alias, configuration: network.configPath))
                let hidden = try await connectAll(network, through: bastion)
                let commands = hidden.map { context in
                    Task { try await context.run("(trap '' TERM HUP; sleep 86397) & sleep 86397") }
                }
                for host in network.hidden {
                    await eventually(within: .seconds(20)) {
                        host.machine.programs().filter { $0.commandLine == ["sleep", "86397"] }.count == 2
                    }
                }
                try await network.cut(network.bastion)
                for command in commands {
                    let error = await #expect(throws: MartletError.self) { try await command.value }
                    #expect(error?.code == .contextLost)
                }
                for host in network.hidden {
                    await eventually(within: .seconds(30), "the end of all on \(host.name)") {
                        host.machine.programs().allSatisfy { $0.name.hasPrefix("sshd") }
                    }
                }
            }
        }
    }
}
