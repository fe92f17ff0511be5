import Martlet

/// Does the same transfer with many hosts, shows how far it is, and tells what comes of it.
struct TransferRun: Sendable {
    var hosts: [Host]
    var limit: Int
    var wayIn: WayIn
    var agent: String?
    var report: TransferReportOptions
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
        let bar = TransferBar(session.output, total: hosts.count)
        let reporter = TransferReporter(session.output, run: self)
        var options = MartletOptions()
        options.images = try AgentImage.find(agent).images
        options.onOutput = session.contextOutput
        let fleet = Fleet(hosts: hosts, wayIn: wayIn, limit: limit)
        let outcomes = try await withMartlet(options) { controller in
            await withTaskGroup(of: Void.self) { group in
                if !report.json, !report.quiet { group.addTask { await bar.run() } }
                defer { group.cancelAll() }
                return await fleet.run(controller, session.interruption) { host in
                    bar.started(host)
                } onEnd: { (outcome: HostOutcome<TransferSummary>) in
                    bar.ended(outcome.host)
                    reporter.ended(outcome)
                    onEnd()
                } _: { context, host in
                    try await work(context, host) { bar.progressed(host, $0) }
                }
            }
        }
        bar.stop()
        let interruption = session.interruption.cause
        if interruption != .outputClosed {
            reporter.summarize(outcomes, ContinuousClock.now - start, interruption)
        }
        if outcomes.contains(where: \.isUnreachable) { return ExitStatus.unreachable }
        return outcomes.allSatisfy(\.didSucceed) ? ExitStatus.success : ExitStatus.failed
    }
}

extension HostOutcome<TransferSummary> {
    var didSucceed: Bool { if case .value(let summary) = result { summary.failures.isEmpty } else { false } }
}
