import ArgumentParser
import GRDB
import Martlet

/// Which hosts of an earlier run `--rerun` takes.
struct Rerun: Sendable {
    enum Kind: String, CaseIterable {
        case failed, unreached, unfinished, all

        /// - Parameter verdict: nil if it never became known.
        func includes(_ verdict: Verdict?) -> Bool {
            switch self {
            case .failed: verdict == .failed
            case .unreached: verdict == .unreachable
            case .unfinished: [nil, .lost, .interrupted, .notStarted, .skipped].contains(verdict)
            case .all: true
            }
        }
    }

    private let kinds: [Kind]

    /// - Throws: `ValidationError` for a word that is none.
    static func read(_ text: String) throws -> Rerun {
        let kinds = text.split(separator: ",", omittingEmptySubsequences: false).map { Kind(rawValue: String($0)) }
        guard !kinds.contains(nil) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--rerun takes \(known), not \"\(text)\"")
        }
        return Rerun(kinds: kinds.compactMap(\.self))
    }

    /// The run of that number, or the last one, with its hosts.
    ///
    /// - Throws: ``CommandFailure`` if there is none, it is going on, or the journal cannot be read.
    static func run(_ id: Int64?) throws -> (JournalRun, [JournalHost]) {
        let (run, hosts) = try Journal.run(id)
        guard !run.isGoingOn else {
            throw CommandFailure("run \(run.id ?? 0) is going on still, in process \(run.process)")
        }
        return (run, hosts)
    }

    /// The hosts of a run that are meant.
    ///
    /// - Parameters:
    ///   - all: of the run.
    ///   - inventory: what `--inventory` says now; nil: what it said then.
    /// - Throws: ``CommandFailure``; `CleanExit` if it has none of those.
    func hosts(of run: JournalRun, _ all: [JournalHost], inventory: String?) throws -> [Host] {
        let hosts = all.filter { host in kinds.contains { $0.includes(host.verdict) } }
        guard !hosts.isEmpty else {
            let kinds = kinds.map(\.rawValue).joined(separator: " or ")
            throw CleanExit.message("nothing to do: no host of run \(run.id ?? 0) is \(kinds)")
        }
        let selection = try HostSelection(inventory ?? run.inventory)
        do { return Host.list(try hosts.map { try selection.host($0.name, spec: $0.spec) }) } catch let error
            as SpecError
        {
            throw CommandFailure("run \(run.id ?? 0): \(error)")
        }
    }
}

extension JournalRun {
    /// The same again, with the options of now behind those of then.
    ///
    /// - Throws: ``CommandFailure`` if it was no `martlet run`, or set variables that are not set now.
    func invocation(adding own: Invocation, _ variables: [String]) throws -> Invocation {
        guard kind == "run" else {
            throw CommandFailure("run \(id ?? 0) was 'martlet \(kind)': name a command to run on its hosts")
        }
        let missing = self.variables.filter { name in !variables.contains { $0.hasPrefix("\(name)=") } }
        guard missing.isEmpty else {
            throw CommandFailure(
                "run \(id ?? 0) set \(missing.joined(separator: ", ")), whose value the journal does not keep: "
                    + "give it again, as in --env \(missing[0])=...")
        }
        // Which hosts they are is known. The inventory is named by the options of now, if there is one.
        let hostOptions = ["-H", "--hosts", "--hosts-file", "--rerun", "--run"]
        let then = Invocation.split(options, by: hostOptions + ["--inventory"]).rest
        let now = Invocation.split(own.options + own.words, by: hostOptions).rest
        return Invocation(kind: "run", options: then + now, words: words, variables: own.variables)
    }

    /// The inventory that its options name, from wherever we are; nil: none.
    var inventory: String? {
        let given = options.isEmpty ? Array(words.prefix { $0 != "--" }) : options
        guard let file = Invocation.split(given, by: ["--inventory"]).values.last else { return nil }
        return file.hasPrefix("/") || file == "-" ? file : "\(directory)/\(file)"
    }
}
