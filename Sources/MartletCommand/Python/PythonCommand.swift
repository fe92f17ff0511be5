import ArgumentParser
import Martlet
import MartletPython

/// `martlet python`.
struct PythonCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "python",
        abstract: "Run Python code on many hosts at once, by the Python that they have.",
        usage: """
            martlet python -H HOST[,HOST...] [options] MODULE:FUNCTION [ARGUMENT...] [NAME=VALUE...]
            martlet python -H HOST[,HOST...] [options] -c SOURCE
            martlet python -H HOST[,HOST...] [options] SCRIPT.py[:FUNCTION] [ARGUMENT...]
            """,
        discussion: """
            Nothing is installed on a host, nothing is written there, and no agent is sent: any Python will do, from 2.7 on. \
            What the code imports from here, it gets from here: from the current directory, or that of the script.

            A function's arguments are Python's or JSON's literals (8, 2.5, null, [1,2], "8"); what is none is text. What it \
            returns is printed as Python prints it; what the code prints comes live, each line with its host in front.

            Exit status: 0 if all succeeded; 1 if an exception ended the code, or a script's own status was not 0; 3 if a host \
            was not reached or was lost; 4 if it was stopped before all hosts had their turn, or a check failed; 64 for wrong usage; 130 after Ctrl-C (128 + the signal).
            """
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions

    @Option(name: .customShort("c"), help: ArgumentHelp("Run this source.", valueName: "source"))
    var source: String?

    @Option(
        help: ArgumentHelp(
            "Use this interpreter: a name or a path there. Default: python3, or what there is.", valueName: "name"))
    var python: String?

    @Option(
        name: .customLong("path"),
        help: ArgumentHelp(
            "Import modules from this directory of ours; may be repeated. Default: that of the script, else the current one.",
            valueName: "directory"))
    var paths: [String] = []

    @Option(help: ArgumentHelp("Interrupt the code on a host after so many seconds.", valueName: "seconds"))
    var timeout: Double?

    @OptionGroup var strategy: StrategyOptions
    @OptionGroup var report: ReportOptions
    @OptionGroup var journal: JournalOptions

    @Argument(parsing: .captureForPassthrough, help: "What to run, and its arguments.")
    var words: [String] = []

    private func program() throws -> PythonProgram {
        let words = words.first == "--" ? Array(words.dropFirst()) : words
        // What passes through begins with the first word that is none of our options, be it another option.
        if let first = self.words.first, first.hasPrefix("-"), first != "--" {
            if ["-h", "--help"].contains(first) { throw CleanExit.helpRequest(self) }
            throw ValidationError("unknown option \(first)")
        }
        return try PythonProgram(source: source, words, paths: paths)
    }

    func validate() throws {
        _ = try program()
        if let timeout { _ = try OptionValue.duration(timeout, "--timeout") }
        try OptionValue.notBlank(["-c": source, "--python": python])
        try OptionValue.notBlank(paths, "--path")
    }

    func run() async throws {
        let chosen = try hostOptions.choose()
        let command = self
        try await Session.run(colour: wayOptions.color) { try await command.run(on: chosen, $0) }
    }

    private func run(on chosen: HostChoice, _ session: Session) async throws -> Int32 {
        let program = try program()
        let runtime = (python.map { PythonRuntime.python($0) } ?? .python).importing(program.modules)
        var wayIn = try wayOptions.wayIn()
        wayIn.python = runtime
        let deadline = try timeout.map { try OptionValue.duration($0, "--timeout") }
        let printed = PrintedLines(session)
        let run = CommandRun(
            hosts: chosen.hosts, wayIn: wayIn, agent: wayOptions.agent,
            strategy: strategy.strategy(limit: hostOptions.limit), verify: strategy.verify, report: report,
            journal: journal, invocation: chosen.invocation(passing: words), onOutput: { printed.handler($0) })
        return try await run.run(session) { context, host, reporter in
            printed.add(host, context.address)
            let began = ContinuousClock.now
            let py = PythonContext(context, runtime)
            let status = try await program.run(in: py, deadline: deadline) {
                await printed.drain(py)
            } onValue: { value in
                await reporter.value(value, from: host)
            } onError: { error in
                await reporter.lines(error.report, to: .error, from: host)
            }
            return CommandResult(
                command: program.name, termination: status, duration: ContinuousClock.now - began, route: context.route)
        }
    }
}

extension RunReporter {
    /// Shows text as if the host had printed it.
    func lines(_ text: String, to pipe: OutputLine.Pipe, from host: Host) async {
        for part in text.split(separator: "\n", omittingEmptySubsequences: false) {
            await line(OutputLine(pipe: pipe, bytes: Array(part.utf8), end: .lineFeed), from: host)
        }
    }
}

extension PythonError {
    /// As Python prints it, with what to try.
    var report: String {
        var text = traceback.hasSuffix("\n") ? String(traceback.dropLast()) : traceback
        if let advice { text += "\n  try: \(advice)" }
        return text
    }
}
