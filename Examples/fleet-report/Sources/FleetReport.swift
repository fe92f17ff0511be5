import ArgumentParser
import Martlet
import MartletFleet

@main struct FleetReport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet-report",
        abstract: "Say in Markdown what a fleet consists of, and which hosts are not as the others.",
        discussion: "Exits with 1 if a host could not be asked, or needs attention."
    )

    @Option(help: "A file that should be the same on all hosts; may be repeated.") var same: [String] = []
    @Option(help: "Tell of hosts with less free space on / than so many GiB.") var disk: UInt64 = 2

    @Argument(help: "Hosts as ssh knows them, or specs: web1, 'web[1-10]', ssh:bastion/ssh:db1.") var hosts: [String]

    func run() async throws {
        let needsAttention = try await withMartlet { martlet in
            let fleet = try martlet.group(hosts)
            let facts = try await fleet.facts()
            print("# \(fleet.count) hosts: \(facts)\n")

            list("System", facts.grouped { "\($0.distribution.name), \($0.architecture)" })
            list("Kernel", facts.grouped(by: \.machine.release))
            list("Python", facts.grouped { $0.pythonVersion ?? "none" })
            list(
                "Memory", facts.grouped { "\(($0.memory + (1 << 29)) >> 30) GiB, \($0.machine.processors) processors" })

            let full = facts.successes.filter { ($0.value.availableDisk ?? .max) >> 30 < disk }
            if !full.isEmpty { print("**Less than \(disk) GiB free:** \(NodeSet(full.map(\.member.name)))\n") }

            var areSame = true
            for file in same { areSame = try await compare(file, on: facts.succeeded) && areSame }

            for (host, reason) in facts.failures { print("**\(host) could not be asked:** \(reason)\n") }
            return !facts.allSucceeded || !full.isEmpty || !areSame
        }
        if needsAttention { throw ExitCode.failure }
    }

    /// What there is, and who has it: `Debian GNU/Linux 13, x86_64: web[1-8]`.
    private func list(_ title: String, _ groups: OutputGroups<String>) {
        print("## \(title)\n")
        for group in groups { print("- \(group.content): \(group.nodes)") }
        print()
    }

    /// Shows how a file of some hosts differs from that of most.
    ///
    /// - Returns: whether all have the same.
    private func compare(_ file: String, on hosts: Group) async throws -> Bool {
        let files = try await hosts.read(file)
        let versions = files.grouped { String(decoding: $0, as: UTF8.self) }
        print("## \(file)\n")
        if let most = versions.first { print("- as most have it: \(most.nodes)") }
        for (group, difference) in versions.differences(context: 0) {
            print("- other: \(group.nodes)\n\n```diff\n\(difference)\n```")
        }
        for (host, reason) in files.failures { print("- none: \(host), \(reason)") }
        print()
        return versions.count == 1 && files.allSucceeded
    }
}
