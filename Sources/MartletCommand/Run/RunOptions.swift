import ArgumentParser
import Martlet

/// How something is run on many hosts, and how its output is printed.
struct RunOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("End the command on a host after so many seconds; what came is kept.", valueName: "seconds"))
    var timeout: Double?

    @Option(help: ArgumentHelp("Set a variable for the command; may be repeated.", valueName: "name=value"))
    var env: [String] = []

    @Option(help: ArgumentHelp("Run the command in this directory.", valueName: "path"))
    var dir: String?

    @Flag(help: "Print JSON: one object a line.")
    var json = false

    @Flag(help: "Print lines without the host in front; of one host, byte for byte what the command writes.")
    var noPrefix = false

    @Flag(name: .shortAndLong, help: "No progress, and a summary only if something failed.")
    var quiet = false

    func validate() throws {
        if let timeout { _ = try WayInOptions.duration(timeout, "--timeout") }
        for entry in env {
            guard let equals = entry.firstIndex(of: "="), equals > entry.startIndex else {
                throw ValidationError("--env wants NAME=VALUE, not \"\(entry)\"")
            }
        }
    }

    var command: CommandOptions {
        var options = CommandOptions()
        options.directory = dir
        options.timeout = timeout.map { .milliseconds(Int64($0 * 1000)) }
        // All of it is printed as it comes: nothing has to be kept.
        options.outputLimit = 0
        for entry in env {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            options.environment[String(parts[0])] = String(parts[1])
        }
        return options
    }

    /// Connects to all hosts, does `work` in each, and tells what comes of it.
    ///
    /// - Returns: the exit status.
    func run(
        on hosts: [Host], _ limit: Int, _ wayOptions: WayInOptions, _ session: Session,
        _ work: @escaping @Sendable (Context, Host, any RunReporter) async throws -> CommandResult
    ) async throws -> Int32 {
        let start = ContinuousClock.now
        let progress = Progress(session.output, total: hosts.count)
        let reporter: any RunReporter =
            json
            ? JSONReporter(session.output, hosts: hosts)
            : TextReporter(session.output, hosts: hosts, hasPrefix: !noPrefix, isQuiet: quiet, progress: progress)
        let fleet = Fleet(hosts: hosts, wayIn: try wayOptions.wayIn(), limit: limit)
        var martletOptions = MartletOptions()
        martletOptions.images = try AgentImage.find(wayOptions.agent).images
        martletOptions.onOutput = session.contextOutput

        let outcomes = try await withMartlet(martletOptions) { controller in
            await withTaskGroup(of: Void.self) { group in
                if !json, !quiet { group.addTask { await progress.run() } }
                defer { group.cancelAll() }
                return await fleet.run(controller, session.interruption) { host in
                    progress.started(host)
                } onEnd: { (outcome: HostOutcome<CommandResult>) in
                    reporter.ended(outcome)
                } _: { context, host in
                    try await work(context, host, reporter)
                }
            }
        }
        progress.stop()
        let cause = session.interruption.cause
        let summary = RunSummary(outcomes: outcomes, duration: ContinuousClock.now - start, interruption: cause)
        if cause != .outputClosed { reporter.summarize(summary) }
        return summary.exitStatus
    }
}
