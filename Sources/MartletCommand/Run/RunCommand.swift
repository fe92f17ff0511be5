import ArgumentParser
import Martlet
import MartletPython
import MartletReactor

/// `martlet run`.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command on many hosts at once.",
        usage: """
            martlet run -H HOST[,HOST...] [options] [--] COMMAND...
            martlet run --rerun WHICH [--run ID] [options] [[--] COMMAND...]
            """,
        discussion: """
            One word is a line of shell ('df -h | tail -1'); several words are a program and its arguments, exactly. \
            Output comes live, each line with its host in front.

            Exit status: 0 if all succeeded; 1 if a command failed; 3 if a host was not reached or was lost; 4 if it was \
            stopped before all hosts had their turn, or a check failed; 64 for wrong usage; 130 after Ctrl-C (128 + the signal).
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

    @Argument(parsing: .captureForPassthrough, help: "The command.")
    var command: [String] = []

    private var words: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

    func validate() throws {
        // What passes through begins with the first word that is none of our options, be it another option.
        if let first = command.first, first.hasPrefix("-"), first != "--" {
            if ["-h", "--help"].contains(first) { throw CleanExit.helpRequest(self) }
            throw ValidationError("unknown option \(first); a command that begins with a dash stands behind --")
        }
        guard !words.isEmpty || hostOptions.rerun != nil else { throw ValidationError("name a command to run") }
        if let first = words.first, first.allSatisfy(\.isWhitespace) {
            throw ValidationError("the command is empty: see whether a variable is not set")
        }
        if stdin, hostOptions.hostsFile == "-" {
            throw ValidationError("standard input cannot be both the list of hosts and the input of the command")
        }
    }

    func run() async throws {
        let chosen = try hostOptions.choose()
        var (command, invocation) = (self, chosen.invocation(passing: command))
        if words.isEmpty, let earlier = chosen.earlier {
            invocation = try earlier.invocation(adding: invocation, runOptions.env)
            command = try Self.repeating(invocation, runOptions.env)
        }
        let (settled, kept) = (command, invocation)
        try await Session.run(colour: command.wayOptions.color) { session in
            try await settled.run(on: chosen.hosts, kept, session)
        }
    }

    /// What the words of an earlier run mean.
    ///
    /// - Throws: ``CommandFailure`` if they mean nothing any more.
    private static func repeating(_ invocation: Invocation, _ variables: [String]) throws -> RunCommand {
        let variables = variables.flatMap { ["--env", $0] }
        do { return try parse(invocation.options + variables + ["--"] + invocation.words) } catch {
            throw CommandFailure("its options cannot be used again: \(message(for: error))")
        }
    }

    private func run(on hosts: [Host], _ invocation: Invocation, _ session: Session) async throws -> Int32 {
        let (words, python) = (words, runtimeOptions.python)
        let options = try await commandOptions(hosts: hosts.count, session)
        let wayIn = runtimeOptions.applied(to: try wayOptions.wayIn())
        return try await runOptions.commandRun(
            on: hosts, hostOptions, wayIn, agent: wayOptions.agent, invocation
        ).run(session) { context, host, reporter in
            let onLine: @Sendable (OutputLine) async -> Void = { await reporter.line($0, from: host) }
            let runner = python.runner(in: context)
            // No shell stands between us and a program that was given as words: its signals are its own.
            return words.count == 1
                ? try await runner.run(words[0], options: options, onLine: onLine)
                : try await runner.run(
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
