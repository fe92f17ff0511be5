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

    /// The hosts that are meant, of the run of that number, or the last one.
    ///
    /// - Parameter selection: what the inventory knows of them now.
    /// - Throws: ``CommandFailure``; `CleanExit` if it has none of those.
    func hosts(of id: Int64?, _ selection: HostSelection) throws -> [Host] {
        let (run, all) = try Self.run(id)
        let hosts = all.filter { host in kinds.contains { $0.includes(host.verdict) } }
        guard !hosts.isEmpty else {
            let kinds = kinds.map(\.rawValue).joined(separator: " or ")
            throw CleanExit.message("nothing to do: no host of run \(run.id ?? 0) is \(kinds)")
        }
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
        return Invocation(
            kind: "run", options: Self.withoutHosts(options + own.options + own.words), words: words,
            variables: own.variables)
    }

    /// Options of a run without those that say which hosts it is for: they are known.
    private static func withoutHosts(_ options: [String]) -> [String] {
        let names = ["-H", "--hosts", "--hosts-file", "--inventory", "--rerun", "--run"]
        var rest: [String] = []
        var words = options.makeIterator()
        while let word = words.next() {
            if names.contains(word) {
                _ = words.next()
            } else if !names.contains(where: { word.hasPrefix("\($0)=") }) {
                rest.append(word)
            }
        }
        return rest
    }
}
