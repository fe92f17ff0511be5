import Martlet
import MartletFleet

/// Does the same transfer with many hosts, shows how far it is, and tells what comes of it.
struct TransferRun: Sendable {
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
    /// Told when a host is done with.
    var onEnd: @Sendable () -> Void = {}

    /// - Returns: the exit status.
    func run(
        _ session: Session,
        _ work:
            @escaping @Sendable (Context, Host, @escaping @Sendable (TransferProgress) -> Void) async throws ->
            TransferSummary
    ) async throws -> Int32 {
        let start = ContinuousClock.now
        let bar = TransferBar(session.output, hosts)
        let reporter = TransferReporter(session.output, run: self)
        var options = MartletOptions()
        options.images = try AgentImage.find(agent).images
        options.onOutput = session.contextOutput
        let journal = journal.begin(invocation, hosts, session)
        let fleet = Fleet(
            hosts: hosts, wayIn: wayIn, strategy: strategy, onEvent: { bar.note($0) },
            onCheck: { reporter.checked($0) })
        let check = BatchCheck.of(verify, in: nil)
        let results = try await withMartlet(options) { controller in
            try await withThrowingTaskGroup(of: Void.self) { group in
                if !report.json, !report.quiet { group.addTask { await bar.run() } }
                defer { group.cancelAll() }
                return try await fleet.each(
                    controller, session.interruption,
                    onResult: { (result: HostResult<TransferSummary>) in
                        journal?.ended(result)
                        reporter.ended(result)
                        onEnd()
                    }, check: check
                ) { context, host in
                    try await work(context, host) { bar.progressed(host, $0) }
                }
            }
        }
        bar.stop()
        let interruption = session.interruption.cause
        if interruption != .outputClosed {
            reporter.summarize(results, ContinuousClock.now - start, interruption)
        }
        let status = Self.exitStatus(results)
        await journal?.finish(session.interruption.exitStatus ?? status, results.stop)
        return status
    }

    private static func exitStatus(_ results: FleetResults<TransferSummary>) -> Int32 {
        if results.wasStopped { return ExitStatus.stopped }
        if results.hosts.contains(where: \.isUnreachable) { return ExitStatus.unreachable }
        return results.hosts.allSatisfy(\.didSucceed) ? ExitStatus.success : ExitStatus.failed
    }
}

extension HostResult<TransferSummary> {
    var didSucceed: Bool { value?.failures.isEmpty ?? false }
}
