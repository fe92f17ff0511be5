import ArgumentParser
import Martlet
import Synchronization

/// `martlet facts`.
struct FactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "facts",
        abstract: "Show what kind of machines hosts are.",
        discussion: "Exit status: 0 if all told; 1 if one could not; 3 if a host was not reached."
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var runtimeOptions: RuntimeOptions

    @Flag(help: "Print JSON: one object a line, memory in bytes.")
    var json = false

    func run() async throws {
        let hosts = try hostOptions.choose().hosts
        let command = self
        try await Session.run(colour: wayOptions.color) { try await command.run(on: hosts, $0) }
    }

    private func run(on hosts: [Host], _ session: Session) async throws -> Int32 {
        let inspection = Inspection(
            hosts: hosts, wayIn: runtimeOptions.applied(to: try wayOptions.wayIn()), limit: hostOptions.limit,
            agent: wayOptions.agent, json: json)
        let answers = Mutex<[Int: Facts]>([:])
        let status = try await inspection.run(session, event: "facts") { (facts: Facts, _, object) in
            object.add("hostname", facts.hostname)
            object.add("system", facts.system)
            object.add("release", facts.release)
            object.add("architecture", facts.architecture)
            object.add("distribution", facts.distribution)
            object.add("processors", facts.processors)
            object.add("memory", facts.memory)
            object.add("user", facts.user)
            object.add("userID", facts.userID)
        } onAnswer: { facts, _, host in
            answers.withLock { $0[host.index] = facts }
        } _: { context, _ in
            context.facts
        }
        show(hosts, answers.withLock { $0 }, session.output)
        return status
    }

    private func show(_ hosts: [Host], _ answers: [Int: Facts], _ output: Output) {
        guard !answers.isEmpty else { return }
        var table = Table(
            ["HOST", "SYSTEM", "KERNEL", "ARCH", "CPUS", "MEMORY", "USER", "HOSTNAME"], rightAligned: [4, 5])
        for host in hosts {
            guard let facts = answers[host.index] else { continue }
            let cells = [
                host.label, facts.distribution ?? facts.system, facts.release, facts.architecture,
                "\(facts.processors)", Format.bytes(Int(clamping: facts.memory)), facts.user, facts.hostname,
            ]
            table.add(cells.map { HarmlessText.of($0) })
        }
        for (index, line) in table.lines.enumerated() {
            output.say(index == 0 ? output.style.heading(line) : line)
        }
    }
}
