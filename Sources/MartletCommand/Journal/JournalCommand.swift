import ArgumentParser
import MartletFleet

/// `martlet journal`.
struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Show what was run before, on which hosts, and what came of it.",
        discussion: """
            'martlet run', 'exec', 'python', 'put', 'get' and 'sync' write down what they are asked to do, and each host's end as \
            it comes: also if martlet is killed. 'martlet run --rerun failed' takes hosts from it. The last \
            \(JournalFile.runLimit) runs are kept, in ${XDG_STATE_HOME:-~/.local/state}/martlet/journal.sqlite, which only you can \
            read.

            What commands print is not in it, nor are values of --env. The words of a command are: of one with a secret in its \
            arguments use --no-journal, or MARTLET_JOURNAL=off for good. Remove the file to forget all.
            """,
        subcommands: [JournalListCommand.self, JournalShowCommand.self],
        defaultSubcommand: JournalListCommand.self
    )
}

/// `martlet journal list`.
struct JournalListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the runs, the last one at the end.")

    @Option(name: .customShort("n"), help: ArgumentHelp("How many, from the end.", valueName: "number"))
    var count = 20

    @Flag(help: "Print JSON: one object a run.")
    var json = false

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func validate() throws {
        guard count > 0 else { throw ValidationError("-n wants a number of at least 1") }
    }

    func run() async throws {
        let (count, json) = (count, json)
        try await Session.run(colour: color) { session in
            let (runs, counts) = try Journal.reading { journal in
                let runs = try journal?.runs(count) ?? []
                return (runs, try journal?.counts(from: runs.first?.id ?? 0) ?? [:])
            }
            let text = JournalText(session.output)
            if json {
                for run in runs { session.output.say(text.object(run, counts[run.id ?? 0] ?? [:]).finished) }
            } else if runs.isEmpty {
                session.output.say("there is no run in the journal yet", to: .error)
            } else {
                text.tell(runs, counts)
            }
            return ExitStatus.success
        }
    }
}

/// `martlet journal show`.
struct JournalShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a run, and what came of each host.",
        discussion: "Exit status: 0; 1 if the journal cannot be read; 64 if there is no such run.")

    @Argument(help: "The number of the run. Default: the last one.")
    var id: Int64?

    @Flag(help: "Print JSON: one object for the run, and one for each host.")
    var json = false

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func run() async throws {
        let (id, json) = (id, json)
        try await Session.run(colour: color) { session in
            let (run, hosts) = try Journal.run(id)
            let text = JournalText(session.output)
            if json {
                let counts = hosts.reduce(into: [:]) { $0[$1.verdict, default: 0] += 1 }
                session.output.say(text.object(run, counts).finished)
                for host in hosts { session.output.say(text.object(host, of: run).finished) }
            } else {
                text.tell(run, hosts)
            }
            return ExitStatus.success
        }
    }
}
