import ArgumentParser
import Martlet
import MartletFleet
import MartletShim

/// `martlet with`.
struct WithCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "with",
        abstract:
            "Run a tool of this machine whose ssh leads to a host: rsync, scp, sftp, git, anything that runs ssh.",
        usage: """
            martlet with [options] HOST [--] TOOL ARGUMENT...
            martlet with [options] NAME=HOST... -- TOOL ARGUMENT...
            """,
        discussion: """
            With one host, whatever host the tool names is that one: martlet with web1/sudo -- rsync -a site/ web1:/srv/site/. \
            With several, or with NAME=, names mean what they say. The host's own user is used, whoever the tool asks for; \
            what the tool runs there runs in the login shell, as over ssh. Any number of connections of the tool share one way in.

            Exit status: the tool's own, 128 + the signal that ended it, 127 if there is none such; 3 if a host was not \
            reached; 64 for wrong usage.
            """
    )

    @OptionGroup var wayOptions: WayInOptions

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The hosts, and the tool with its arguments.", valueName: "words"))
    var words: [String] = []

    func validate() throws { _ = try ToolPlan(words, self) }

    func run() async throws {
        let plan = try ToolPlan(words, self)
        let (wayIn, agent) = (try wayOptions.wayIn(), wayOptions.agent)
        // Standard output is the tool's.
        try await Session.run(colour: wayOptions.color, ownsOutput: false) { session in
            var options = MartletOptions()
            options.images = try AgentImage.find(agent).images
            options.onOutput = session.contextOutput
            return try await withMartlet(options) { controller in
                try await Self.run(plan, wayIn, controller, session)
            }
        }
    }

    private static func run(
        _ plan: ToolPlan, _ wayIn: WayIn, _ controller: Controller, _ session: Session
    ) async throws -> Int32 {
        let contexts: [String: Context]
        do {
            contexts = try await session.interruption.cancelling {
                let (wayIn, _) = try await wayIn.sharing(
                    controller, session.output, among: plan.hosts.map(\.host))
                let group = try controller.group(
                    plan.hosts.map { name, host in wayIn.member(name, host, controller) { wayIn } })
                return try await withThrowingTaskGroup(of: (String, Context).self) { tasks in
                    for (name, member) in zip(plan.hosts.map(\.name), group) {
                        tasks.addTask { (name, try await group.context(of: member)) }
                    }
                    return try await tasks.reduce(into: [:]) { $0[$1.0] = $1.1 }
                }
            }
        } catch let error as MartletError {
            session.output.say("martlet: \(HarmlessText.of("\(error)", keepsLines: true))", to: .error)
            return ExitStatus.unreachable
        }
        let hosts: SSHHosts = plan.isAny ? .any(contexts.first!.value) : .named(contexts)
        return try await withSSH(hosts) { shim in
            try await ToolInFront.run(shim.arguments(plan.tool), shim.environment, session)
        }
    }
}

/// What the words of `martlet with` mean.
struct ToolPlan: Sendable {
    /// What the tool calls each.
    var hosts: [(name: String, host: HostName)] = []
    /// Every name means the one host.
    var isAny = false
    var tool: [String]

    /// - Throws: `ValidationError`.
    init(_ words: [String], _ command: WithCommand) throws {
        if let first = words.first, first.hasPrefix("-"), first != "--" {
            if ["-h", "--help"].contains(first) { throw CleanExit.helpRequest(command) }
            throw ValidationError("unknown option \(first); options stand before the host")
        }
        let specs: ArraySlice<String>
        if let end = words.firstIndex(of: "--") {
            (specs, tool) = (words[..<end], Array(words[(end + 1)...]))
        } else {
            (specs, tool) = (words.prefix(1), Array(words.dropFirst()))
        }
        guard !specs.isEmpty else {
            throw ValidationError("name a host, as in 'martlet with web1 -- rsync -a dir/ web1:'")
        }
        guard !tool.isEmpty else { throw ValidationError("name a tool to run") }
        for spec in specs {
            let (name, text) = Self.split(spec)
            for host in try HostOptions.names([text]) {
                let name = name ?? host.text
                guard !hosts.contains(where: { $0.name == name }) else {
                    throw ValidationError("\(name) is there twice; give each a name of its own: NAME=HOST")
                }
                hosts.append((name, host))
            }
            if specs.count == 1, hosts.count == 1, name == nil { isAny = true }
        }
        guard hosts.count <= 64 else {
            throw ValidationError("\(hosts.count) hosts are too many for one tool: 64 at most")
        }
    }

    /// `NAME=HOST`: a spec's own `=` stands behind a colon or a question mark.
    private static func split(_ text: String) -> (name: String?, spec: String) {
        guard let equals = text.firstIndex(of: "=") else { return (nil, text) }
        let name = text[..<equals]
        let isName = !name.isEmpty && name.utf8.allSatisfy { !":?/@[,".utf8.contains($0) }
        return isName ? (String(name), String(text[text.index(after: equals)...])) : (nil, text)
    }
}
