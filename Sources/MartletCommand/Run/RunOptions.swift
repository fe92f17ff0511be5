import ArgumentParser
import Martlet

/// How a command is run on many hosts.
struct RunOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("End the command on a host after so many seconds; what came is kept.", valueName: "seconds"))
    var timeout: Double?

    @Option(help: ArgumentHelp("Set a variable for the command; may be repeated.", valueName: "name=value"))
    var env: [String] = []

    @Option(help: ArgumentHelp("Run the command in this directory.", valueName: "path"))
    var dir: String?

    @OptionGroup var strategy: StrategyOptions
    @OptionGroup var report: ReportOptions
    @OptionGroup var journal: JournalOptions

    func validate() throws {
        if let timeout { _ = try OptionValue.duration(timeout, "--timeout") }
        try OptionValue.notBlank(["--dir": dir])
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

    func commandRun(
        on hosts: [Host], _ hostOptions: HostOptions, _ wayIn: WayIn, agent: String?, _ invocation: Invocation
    ) -> CommandRun {
        CommandRun(
            hosts: hosts, wayIn: wayIn, agent: agent, strategy: strategy.strategy(limit: hostOptions.limit),
            verify: strategy.verify, verifyOptions: command, report: report, journal: journal,
            invocation: invocation)
    }
}
