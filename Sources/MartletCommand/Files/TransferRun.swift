import Martlet
import MartletFleet

/// Does the same transfer with many hosts, shows how far it is, and tells what comes of it.
struct TransferRun: Sendable {
    typealias OnProgress = @Sendable (TransferProgress) -> Void

    enum Work: Sendable {
        case each(@Sendable (Context, Host, @escaping OnProgress) async throws -> TransferSummary)
        /// The same to the same path of all: what ways have in common carries it once.
        case jointly(to: String, JointTransfer<TransferSummary>.Send)
    }

    var hosts: [Host]
    var strategy: FleetStrategy
    var wayIn: WayIn
    var agent: String?
    /// A line of shell that is run behind each batch.
    var verify: String?
    var report: TransferReportOptions
    var journal: JournalOptions
    var invocation: Invocation
    /// What is said of a host where it succeeded: `copied`, `would change`.
    var lists = false
    var isDryRun = false

    /// - Returns: the exit status.
    func run(_ session: Session, _ work: Work) async throws -> Int32 {
        let start = ContinuousClock.now
        let bar = TransferBar(session.output, hosts)
        let reporter = TransferReporter(session.output, run: self)
        var options = MartletOptions()
        options.images = try AgentImage.find(agent).images
        options.onOutput = session.contextOutput
        let journal = journal.begin(invocation, hosts, session)
        var wayIn = wayIn
        // By a hub each host would get a copy of its own over the way that they share.
        if case .jointly = work, sharesWays { wayIn.mayUseHub = false }
        let fleet = Fleet(
            hosts: hosts, wayIn: wayIn, strategy: strategy, onEvent: { bar.note($0) },
            onCheck: { reporter.checked($0) })
        let check = BatchCheck.of(verify, in: nil)
        let results = try await withMartlet(options) { controller in
            try await withThrowingTaskGroup(of: Void.self) { group in
                if !report.json, !report.quiet { group.addTask { await bar.run() } }
                defer { group.cancelAll() }
                return try await fleet.run(
                    controller, session,
                    onResult: { (result: HostResult<TransferSummary>) in
                        journal?.ended(result)
                        reporter.ended(result)
                    }, check: check
                ) { group, host, onResult in
                    switch work {
                    case .each(let work):
                        try await group.each(onResult: onResult) { context, member in
                            try await work(context, host(member)) { bar.progressed(host(member), $0) }
                        }
                    case .jointly(let path, let send):
                        try await group.each(
                            JointTransfer(sharesWays: sharesWays, send), to: { _ in Array(path.utf8) },
                            onResult: onResult
                        ) { bar.progressed(host($0), $1) }
                    }
                }
            }
        }
        bar.stop()
        let cause = session.interruption.cause
        let summary = RunSummary(results: results, duration: ContinuousClock.now - start, interruption: cause)
        if cause != .outputClosed { reporter.summarize(summary) }
        await journal?.finish(session.interruption.exitStatus ?? summary.exitStatus, summary.stop)
        return summary.exitStatus
    }

    /// Whether the ways to several hosts begin alike.
    private var sharesWays: Bool {
        hosts.count > 1 && (wayIn.via != nil || hosts.contains { !$0.name.gateways.isEmpty })
    }
}
