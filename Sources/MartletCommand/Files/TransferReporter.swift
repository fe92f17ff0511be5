import Martlet

/// Tells people or machines what came of transfers.
struct TransferReporter: Sendable {
    private let output: Output
    private let run: TransferRun
    private var json: Bool { run.report.json }

    init(_ output: Output, run: TransferRun) { (self.output, self.run) = (output, run) }

    func ended(_ outcome: HostOutcome<TransferSummary>) {
        if json { tellMachines(outcome) } else { tellPeople(outcome) }
    }

    // MARK: People

    private func tellPeople(_ outcome: HostOutcome<TransferSummary>) {
        let name = output.errorStyle.host(outcome.host.label, named: outcome.host.name.text)
        switch outcome.result {
        case .failed(let error):
            let text = HarmlessText.of(error.description, keepsLines: true)
            output.say("\(name): \(output.errorStyle.bad("error:")) \(text)", to: .error)
        case .value(let summary):
            for failure in summary.failures.prefix(20) {
                output.say(
                    "\(name): \(output.errorStyle.bad("not copied:")) \(HarmlessText.of("\(failure)"))", to: .error)
            }
            if summary.failures.count > 20 {
                output.say("\(name): and \(summary.failures.count - 20) more that were not copied", to: .error)
            }
            guard !run.report.quiet || run.isDryRun else { return }
            let name = output.style(.output).host(outcome.host.label, named: outcome.host.name.text)
            if run.lists {
                for change in summary.changes { output.say("\(name): \(Self.line(change))") }
                if summary.omittedChanges > 0 { output.say("\(name): and \(summary.omittedChanges) more changes") }
            }
            if !run.report.quiet { output.say("\(name): \(self.summary(summary, outcome))") }
        case .interrupted, .notStarted: break
        }
    }

    private static func line(_ change: SyncChange) -> String {
        let path = change.path.isEmpty ? "." : HarmlessText.of(change.path)
        let kind = change.kind.rawValue
        return kind + String(repeating: " ", count: 9 - kind.count) + path + (change.isFolder ? "/" : "")
    }

    private func summary(_ summary: TransferSummary, _ outcome: HostOutcome<TransferSummary>) -> String {
        if run.isDryRun { return "\(Self.count(summary.changes)); nothing was done" }
        if summary.isSame { return "nothing to do (\(Format.duration(outcome.duration)))" }
        var text = "\(summary.files) \(summary.files == 1 ? "file" : "files"), \(Format.bytes(summary.bytes))"
        if !summary.changes.isEmpty { text = "\(Self.count(summary.changes)); \(text)" }
        return "\(text) to \(HarmlessText.of(summary.path)) (\(Format.duration(outcome.duration)))"
    }

    private static func count(_ changes: [SyncChange]) -> String {
        let parts = [SyncChange.Kind.created, .updated, .metadata, .deleted].compactMap { kind in
            let count = changes.count { $0.kind == kind }
            return count == 0 ? nil : "\(count) \(kind == .metadata ? "with other mode, owner or time" : kind.rawValue)"
        }
        return parts.isEmpty ? "nothing to do" : parts.joined(separator: ", ")
    }

    func summarize(_ outcomes: [HostOutcome<TransferSummary>], _ duration: Duration, _ cause: Interruption.Cause?) {
        let done = outcomes.count { $0.didSucceed }
        if json {
            for outcome in outcomes { if case .notStarted = outcome.result { tellMachines(outcome) } }
            var object = JSONObject()
            object.add("event", "summary")
            object.add("hosts", outcomes.count)
            object.add("succeeded", done)
            object.add("unreachable", outcomes.count { $0.isUnreachable })
            object.add("duration", duration)
            output.say(object.finished)
            return
        }
        if case .signal(let number)? = cause {
            output.say(output.errorStyle.warning("ended by \(Signals.name(number))"), to: .error)
        }
        guard outcomes.count > 1, !(run.report.quiet && done == outcomes.count) else { return }
        let rest = outcomes.count - done
        let bad = rest == 0 ? "" : ", " + output.errorStyle.bad("\(rest) not")
        output.say("\(outcomes.count) hosts: \(done) succeeded\(bad) in \(Format.duration(duration))", to: .error)
    }

    // MARK: Machines

    private func tellMachines(_ outcome: HostOutcome<TransferSummary>) {
        var object = JSONObject(event: "result", outcome.host)
        object.add("ok", outcome.didSucceed)
        if case .value(let summary) = outcome.result {
            for change in summary.changes where run.lists {
                var line = JSONObject(event: "change", outcome.host)
                line.add("kind", change.kind.rawValue)
                line.add("path", bytes: change.path)
                line.add("folder", change.isFolder)
                output.say(line.finished)
            }
            object.add("path", bytes: summary.path)
            object.add("files", summary.files)
            object.add("bytes", summary.bytes)
            object.add("changes", summary.changes.count + summary.omittedChanges)
            object.add("failures", summary.failures.map(\.description))
        }
        object.add(
            "interrupted",
            {
                switch outcome.result {
                case .interrupted, .notStarted: true;
                default: false
                }
            }())
        object.add("connect", outcome.timings?.total)
        object.add("duration", outcome.duration)
        object.add("error", outcome.error.map(JSONObject.init(error:)))
        output.say(object.finished)
    }
}
