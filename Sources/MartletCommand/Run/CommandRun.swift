import Martlet
import MartletFleet

/// Runs something with an output and an end on many hosts, and tells what comes of it: what `run`, `exec` and `python` do.
struct CommandRun: Sendable {
    var hosts: [Host]
    var wayIn: WayIn
    var agent: String?
    var strategy: FleetStrategy
    /// A line of shell that is run behind each batch.
    var verify: String?
    /// How that is run.
    var verifyOptions = CommandOptions()
    var report: ReportOptions
    var journal: JournalOptions
    var invocation: Invocation
    /// Gets what contexts print. Default: it is told as what is said beside the work.
    var onOutput: (@Sendable (any RunReporter) -> @Sendable (ContextOutput) -> Void)?

    /// Does `work` in a context on each host.
    ///
    /// - Returns: the exit status.
    func run(
        _ session: Session, _ work: @escaping @Sendable (Context, Host, any RunReporter) async throws -> CommandResult
    ) async throws -> Int32 {
        let start = ContinuousClock.now
        let progress = Progress(session.output, hosts)
        let reporter = report.reporter(session.output, hosts)
        let options = try martletOptions(session, reporter)
        let journal = journal.begin(invocation, hosts, session)
        let fleet = fleet(progress, reporter)
        let check = BatchCheck.of(verify, verifyOptions, in: wayIn.python)
        let results = try await withMartlet(options) { controller in
            try await withThrowingTaskGroup(of: Void.self) { group in
                if !report.json, !report.quiet { group.addTask { await progress.run() } }
                defer { group.cancelAll() }
                return try await fleet.each(
                    controller, session,
                    onResult: { result in
                        progress.ended(result.host, result.verdict)
                        journal?.ended(result)
                        reporter.ended(result)
                    }, check: check
                ) { context, host in
                    // A command that fails counts as a host that does.
                    try await work(context, host, reporter).accepted([0])
                }
            }
        }
        progress.stop()
        let cause = session.interruption.cause
        let summary = RunSummary(results: results, duration: ContinuousClock.now - start, interruption: cause)
        if cause != .outputClosed { reporter.summarize(summary) }
        await journal?.finish(session.interruption.exitStatus ?? summary.exitStatus, summary.stop)
        return summary.exitStatus
    }

    private func fleet(_ progress: Progress, _ reporter: any RunReporter) -> Fleet {
        let hosts = Dictionary(hosts.map { ($0.member, $0) }) { first, _ in first }
        return Fleet(
            hosts: self.hosts, wayIn: wayIn, strategy: strategy,
            onEvent: { event in
                progress.note(event)
                if case .retrying(let member, let pause, let error) = event, let host = hosts[member] {
                    reporter.retrying(host, after: pause, error)
                }
            }, onCheck: { reporter.checked($0) })
    }

    private func martletOptions(_ session: Session, _ reporter: any RunReporter) throws -> MartletOptions {
        var options = MartletOptions()
        // Without hops before the last, another runtime needs no agent.
        do { options.images = try AgentImage.find(agent).images } catch {
            if wayIn.python == nil { throw error }
        }
        options.onOutput = onOutput?(reporter) ?? session.contextOutput
        return options
    }
}
