import ArgumentParser
import Martlet
import MartletPython
import MartletReactor

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

    @OptionGroup var runOptions: RunOptions

    @Flag(help: "Send our standard input to the command on every host (64 MB at most for several hosts).")
    var stdin = false

    @Flag(help: "Connect anew, though a hub is there: see 'martlet up'.")
    var noHub = false

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
        let (words, python) = (words, runtimeOptions.python)
        let options = try await commandOptions(hosts: hosts.count, session)
        var wayIn = runtimeOptions.applied(to: try wayOptions.wayIn())
        // The hub has an agent of its own.
        wayIn.mayUseHub = !noHub && wayOptions.agent == nil
        return try await runOptions.report.run(
            on: hosts, hostOptions.limit, wayIn, agent: wayOptions.agent, session
        ) { context, host, reporter in
            let onLine: @Sendable (OutputLine) async -> Void = { await reporter.line($0, from: host) }
            let context: any CommandRunner = python.map { PythonContext(context, $0) } ?? context
            // No shell stands between us and a program that was given as words: its signals are its own.
            return words.count == 1
                ? try await context.run(words[0], options: options, onLine: onLine)
                : try await context.run(
                    executable: words[0], arguments: Array(words[1...]), options: options, onLine: onLine)
        }
    }

    private func commandOptions(hosts: Int, _ session: Session) async throws -> CommandOptions {
        var options = runOptions.command
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
