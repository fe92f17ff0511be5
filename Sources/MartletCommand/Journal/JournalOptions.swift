import ArgumentParser
import Martlet

/// Whether a run is kept in the journal.
struct JournalOptions: ParsableArguments {
    @Flag(
        help: """
            Do not write this run into the journal, as when its arguments are secret. See 'martlet journal'; MARTLET_JOURNAL=off \
            turns it off for good.
            """)
    var noJournal = false

    /// Begins to keep a run.
    ///
    /// - Returns: nil if it is not to be kept.
    func begin(_ invocation: Invocation, _ hosts: [Host], _ session: Session) -> RunJournal? {
        guard !noJournal, JournalFile.isWanted else { return nil }
        let process = SystemCalls.processID
        let run = JournalRun(
            kind: invocation.kind, options: invocation.options, words: invocation.words,
            variables: invocation.variables, directory: SystemCalls.linkTarget("/proc/self/cwd") ?? "",
            hosts: hosts.count, began: SystemCalls.now, process: process,
            processStart: SystemCalls.processStart(process) ?? 0)
        return RunJournal(run, hosts, session.output)
    }
}

/// What a martlet was asked to do, as the journal keeps it.
struct Invocation: Sendable, Equatable {
    var kind: String
    /// What stood before the command, without the variables that were set.
    var options: [String]
    /// The command; of what has none, all that was given.
    var words: [String]
    /// The names of the variables that were set: their values may be secret.
    var variables: [String]

    /// - Parameters:
    ///   - arguments: of the process, its name first.
    ///   - command: what passes through: the last of them. Empty: options may stand anywhere.
    init(_ arguments: [String] = CommandLine.arguments, passing command: [String]) {
        kind = arguments.count > 1 ? arguments[1] : ""
        let given = Array(arguments.dropFirst(2))
        // Behind this no word is an option of ours.
        let end = command.isEmpty ? given.firstIndex(of: "--") ?? given.count : given.count - command.count
        let (settings, own) = Self.split(given[..<max(0, end)], by: ["--env"])
        variables = settings.map { String($0.prefix { $0 != "=" }) }
        options = command.isEmpty ? [] : own
        words =
            command.isEmpty ? own + given[end...] : Array(command.first == "--" ? command.dropFirst() : command[...])
    }

    /// A run as before, of these words.
    init(kind: String, options: [String], words: [String], variables: [String]) {
        (self.kind, self.options, self.words, self.variables) = (kind, options, words, variables)
    }

    /// Adds an inventory that was not named, but is used.
    mutating func name(inventory: String) {
        let option = ["--inventory", inventory]
        if options.isEmpty { words = option + words } else { options += option }
    }

    /// The values of the options of these names, each given as `-n VALUE` or `-n=VALUE`, and all other words.
    static func split(_ words: some Sequence<String>, by names: [String]) -> (values: [String], rest: [String]) {
        var (values, rest): ([String], [String]) = ([], [])
        var words = words.makeIterator()
        while let word = words.next() {
            if names.contains(word) {
                values.append(words.next() ?? "")
            } else if let name = names.first(where: { word.hasPrefix("\($0)=") }) {
                values.append(String(word.dropFirst(name.count + 1)))
            } else {
                rest.append(word)
            }
        }
        return (values, rest)
    }
}
