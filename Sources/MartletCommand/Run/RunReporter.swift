import Martlet

/// Tells what happens during `martlet run` or `exec`, to people or to machines.
protocol RunReporter: Sendable {
    /// A line came from a host. It may wait until it is printed.
    func line(_ line: OutputLine, from host: Host) async
    /// A fragment on a host has sent an item, which is here as JSON. It may wait until it is printed.
    func item(_ json: String, from host: Host) async
    /// It is known what came of a host.
    func ended(_ outcome: HostOutcome<CommandResult>)
    /// All is over.
    func summarize(_ summary: RunSummary)
}
