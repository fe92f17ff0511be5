import Martlet

/// Tells what happens during `martlet run` or `exec`, to people or to machines.
protocol RunReporter: Sendable {
    /// A line came from a host. It may wait until it is printed.
    func line(_ line: OutputLine, from host: Host) async
    /// A fragment on a host has sent an item, which is here as JSON. It may wait until it is printed.
    func item(_ json: String, from host: Host) async
    /// A host has failed, and is tried again after a pause.
    func retrying(_ host: Host, after pause: Duration, _ error: any Error)
    /// It is known what came of a host.
    func ended(_ result: HostResult<CommandResult>)
    /// It is known what came of the check behind a batch.
    func checked(_ check: BatchCheck)
    /// All is over.
    func summarize(_ summary: RunSummary<CommandResult>)
}
