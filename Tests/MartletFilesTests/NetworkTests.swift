import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Real machines behind a bastion, with cables between them.
@Suite(
    .leakChecked,
    .enabled("needs root, namespaces and openssh-server") { await ThrowawayMachine.obstacle() == nil && hasSSHServer }
)
struct NetworkTests {
    @Test(.enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"))
    func `The cable to the bastion carries a tree once, and one that is cut leaves nothing half`() async throws {
        let image = try #require(staticAgent)
        try await TestFolder.with { folder async throws in
            try await withTestNetwork(hiddenHosts: 2) { network async throws in
                var options = OutputLog().options
                options.images = .executables([image])
                options.heartbeatLimit = .seconds(6)
                try await withMartlet(options) { martlet async throws in
                    let bastion = try await martlet.connect(
                        .ssh(network.bastion.alias, configuration: network.configPath))
                    var hidden: [Context] = []
                    for host in network.hidden {
                        hidden.append(
                            try await bastion.connect(.ssh(host.alias, configuration: network.innerConfigPath)))
                    }
                    let tree = folder.file("tree")
                    Trees.makeFolder(tree)
                    for number in 0..<50 { Trees.write("\(tree)/\(number)", pattern(1000 + number)) }
                    Trees.write("\(tree)/large", pattern(12 << 20))
                    let size = (12 << 20) + 51_000
                    let before = try network.bytesSent(to: network.bastion)
                    let outcomes = try await martlet.sync(tree, to: hidden.map { SyncTarget($0, "/root/copy") })
                    #expect(outcomes.map(\.succeeded) == [true, true], "\(outcomes.map(\.error))")
                    let sent = try network.bytesSent(to: network.bastion) - before
                    #expect(sent > size && sent < size * 5 / 4, "\(sent) bytes for \(size)")
                    for (number, context) in hidden.enumerated() {
                        #expect(try await context.get("/root/copy", to: folder.file("back\(number)")).fileCount == 51)
                        #expect(Trees.all(folder.file("back\(number)")) == Trees.all(tree))
                    }
                    // The cut.
                    let target = network.hidden[0]
                    var alone = TransferOptions()
                    alone.createsParents = true
                    try await hidden[0].put(bytes: [1], to: "/root/alone/old", options: alone)
                    try await network.slow(target, to: 16_000)
                    let (updates, report) = TransferProgress.makeStream()
                    let put = Task { [first = hidden[0]] in
                        try await first.put("\(tree)/large", to: "/root/alone/old", onProgress: report)
                    }
                    for await progress in updates where progress.byteCount > 1 << 20 { break }
                    try await network.cut(target)
                    let error = await failure { _ = try await put.value }
                    #expect(error?.code == .contextLost, "\(error as Any)")
                    let list = target.machine.commandPrefix + ["sh", "-c", "ls -A /root/alone; wc -c </root/alone/old"]
                    await eventually(within: .seconds(40)) { (try? await runProgram(list).output) == "old\n1\n" }
                    #expect(try await hidden[1].status("/root/copy/large")?.byteCount == 12 << 20)
                }
            }
        }
    }
}
