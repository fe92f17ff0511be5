import ArgumentParser
import Martlet

/// How what many hosts say is printed.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Print JSON: one object a line.")
    var json = false

    @Flag(help: "Print lines without the host in front; of one host, byte for byte what the command writes.")
    var noPrefix = false

    @Flag(name: .shortAndLong, help: "No progress, and a summary only if something failed.")
    var quiet = false

    @Flag(
        name: [.customShort("b"), .long],
        help: "At the end print each output once, under the names of all hosts that have it.")
    var gather = false

    @Flag(help: "As --gather, but of outputs that most hosts do not have only what differs.")
    var diff = false

    func validate() throws {
        if json, gather || diff { throw ValidationError("--gather and --diff are for people: --json tells each line") }
        if noPrefix, gather || diff { throw ValidationError("--no-prefix tells each line, --gather each output once") }
    }

    /// Connects to all hosts, does `work` in each, and tells what comes of it.
    ///
    /// - Parameter onOutput: gets what contexts print. Default: it is told as what is said beside the work.
    /// - Returns: the exit status.
    func run(
        on hosts: [Host], _ limit: Int, _ wayIn: WayIn, agent: String?, _ session: Session,
        onOutput: ((any RunReporter) -> @Sendable (ContextOutput) -> Void)? = nil,
        _ work: @escaping @Sendable (Context, Host, any RunReporter) async throws -> CommandResult
    ) async throws -> Int32 {
        try await run(
            on: hosts, limit, wayIn, agent: agent, session, onOutput: onOutput,
            connect: { (way, controller, host) -> Context in try await way.connect(controller, to: host.name) }, work)
    }

    /// - Parameter connect: makes that in which the work is done on a host.
    func run<Member: FleetMember>(
        on hosts: [Host], _ limit: Int, _ wayIn: WayIn, agent: String?, _ session: Session,
        onOutput: ((any RunReporter) -> @Sendable (ContextOutput) -> Void)? = nil,
        connect: @escaping @Sendable (WayIn, Controller, Host) async throws -> Member,
        _ work: @escaping @Sendable (Member, Host, any RunReporter) async throws -> CommandResult
    ) async throws -> Int32 {
        let start = ContinuousClock.now
        let progress = Progress(session.output, total: hosts.count)
        var reporter: any RunReporter = JSONReporter(session.output, hosts: hosts)
        if !json {
            let text = TextReporter(
                session.output, hosts: hosts, hasPrefix: !noPrefix, isQuiet: quiet, progress: progress)
            reporter =
                gather || diff ? GatheringReporter(session.output, text, hosts: hosts, showsDifferences: diff) : text
        }
        let told = reporter
        let fleet = Fleet(hosts: hosts, wayIn: wayIn, limit: limit)
        var martletOptions = MartletOptions()
        // Without hops before the last, another runtime needs no agent.
        do { martletOptions.images = try AgentImage.find(agent).images } catch {
            if wayIn.python == nil { throw error }
        }
        martletOptions.onOutput = onOutput?(told) ?? session.contextOutput

        let outcomes = try await withMartlet(martletOptions) { controller in
            await withTaskGroup(of: Void.self) { group in
                if !json, !quiet { group.addTask { await progress.run() } }
                defer { group.cancelAll() }
                return await fleet.run(controller, session.interruption) { host in
                    progress.started(host)
                } onEnd: { (outcome: HostOutcome<CommandResult>) in
                    told.ended(outcome)
                } connect: { wayIn, host in
                    try await connect(wayIn, controller, host)
                } _: { member, host in
                    try await work(member, host, told)
                }
            }
        }
        progress.stop()
        let cause = session.interruption.cause
        let summary = RunSummary(outcomes: outcomes, duration: ContinuousClock.now - start, interruption: cause)
        if cause != .outputClosed { told.summarize(summary) }
        return summary.exitStatus
    }
}
