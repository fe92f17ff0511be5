import ArgumentParser
import Martlet
import MartletPython

/// `martlet run`.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command on many hosts at once.",
        usage: "martlet run -H HOST[,HOST...] [options] [--] COMMAND...",
        discussion: """
            One word is a line of shell ('df -h | tail -1'); several words are a program and its arguments, exactly. \
            Output comes live, each line with its host in front.

            Exit status: 0 if all succeeded; 1 if a command failed; 3 if a host was not reached or was lost; 64 for wrong \
            usage; 130 after Ctrl-C (128 + the signal).
            """
    )

    /// What standard input may be at most when it goes to several hosts, in bytes.
    static let inputLimit = 64 * 1024 * 1024

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var runtimeOptions: RuntimeOptions

    @Option(
        help: ArgumentHelp("End the command on a host after so many seconds; what came is kept.", valueName: "seconds"))
    var timeout: Double?

    @Option(help: ArgumentHelp("Set a variable for the command; may be repeated.", valueName: "name=value"))
    var env: [String] = []

    @Option(help: ArgumentHelp("Run the command in this directory.", valueName: "path"))
    var dir: String?

    @Flag(help: "Send our standard input to the command on every host (64 MB at most for several hosts).")
    var stdin = false

    @Flag(help: "Print JSON: one object a line.")
    var json = false

    @Flag(help: "Print lines without the host in front; of one host, byte for byte what the command writes.")
    var noPrefix = false

    @Flag(name: .shortAndLong, help: "No progress, and a summary only if something failed.")
    var quiet = false

    @Argument(parsing: .captureForPassthrough, help: "The command.")
    var command: [String] = []

    private var words: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

    func validate() throws {
        // What passes through begins with the first word that is none of our options, be it another option.
        if let first = command.first, first.hasPrefix("-"), first != "--" {
            if ["-h", "--help"].contains(first) { throw CleanExit.helpRequest(self) }
            throw ValidationError("unknown option \(first); a command that begins with a dash stands behind --")
        }
        guard !words.isEmpty else { throw ValidationError("name a command to run") }
        if let timeout { _ = try WayInOptions.duration(timeout, "--timeout") }
        for entry in env {
            guard let equals = entry.firstIndex(of: "="), equals > entry.startIndex else {
                throw ValidationError("--env wants NAME=VALUE, not \"\(entry)\"")
            }
        }
        if stdin, hostOptions.hostsFile == "-" {
            throw ValidationError("standard input cannot be both the list of hosts and the input of the command")
        }
    }

    func run() async throws {
        let hosts = try hostOptions.list()
        let command = self
        try await Session.run(colour: wayOptions.color) { session in
            try await command.run(on: hosts, session)
        }
    }

    private func run(on hosts: [Host], _ session: Session) async throws -> Int32 {
        let start = ContinuousClock.now
        let progress = Progress(session.output, total: hosts.count)
        let reporter: any RunReporter =
            json
            ? JSONReporter(session.output, hosts: hosts)
            : TextReporter(session.output, hosts: hosts, hasPrefix: !noPrefix, isQuiet: quiet, progress: progress)
        let fleet = Fleet(
            hosts: hosts, wayIn: runtimeOptions.applied(to: try wayOptions.wayIn()), limit: hostOptions.limit)
        let (words, python) = (words, runtimeOptions.python)
        let options = try await commandOptions(hosts: hosts.count, session)
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
                    let onLine: @Sendable (OutputLine) async -> Void = { await reporter.line($0, from: host) }
                    let context: any CommandRunner = python.map { PythonContext(context, $0) } ?? context
                    // No shell stands between us and a program that was given as words: its signals are its own.
                    return words.count == 1
                        ? try await context.run(words[0], options: options, onLine: onLine)
                        : try await context.run(
                            executable: words[0], arguments: Array(words[1...]), options: options, onLine: onLine)
                }
            }
        }
        progress.stop()
        let cause = session.interruption.cause
        let summary = RunSummary(outcomes: outcomes, duration: ContinuousClock.now - start, interruption: cause)
        if cause != .outputClosed { reporter.summarize(summary) }
        return summary.exitStatus
    }

    private func commandOptions(hosts: Int, _ session: Session) async throws -> CommandOptions {
        var options = CommandOptions()
        options.directory = dir
        options.timeout = timeout.map { .milliseconds(Int64($0 * 1000)) }
        // All of it is printed as it comes: nothing has to be kept.
        options.outputLimit = 0
        for entry in env {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            options.environment[String(parts[0])] = String(parts[1])
        }
        if stdin {
            options.input =
                hosts == 1
                ? .chunks(StandardInput())
                : .bytes(
                    try await session.interruption.cancelling { try await StandardInput.all(limit: Self.inputLimit) })
        }
        return options
    }
}
