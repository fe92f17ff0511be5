import Martlet
import MartletFleet

/// Tells people or machines what came of transfers.
struct TransferReporter: Sendable {
    private let output: Output
    private let run: TransferRun
    private var json: Bool { run.report.json }

    init(_ output: Output, run: TransferRun) { (self.output, self.run) = (output, run) }

    func ended(_ result: HostResult<TransferSummary>) {
        if json { tellMachines(result) } else { tellPeople(result) }
    }

    func checked(_ check: BatchCheck) {
        output.say(
            json ? check.object.finished : check.words(output.errorStyle), to: json ? .output : .error)
    }

    // MARK: People

    private func tellPeople(_ result: HostResult<TransferSummary>) {
        let name = output.errorStyle.host(result.host.label, named: result.host.name.text)
        if let error = result.error {
            let text = HarmlessText.of(error.description, keepsLines: true)
            output.say("\(name): \(output.errorStyle.bad("error:")) \(text)", to: .error)
        }
        guard let summary = result.transfer else { return }
        for failure in summary.failures.prefix(20) {
            output.say("\(name): \(output.errorStyle.bad("not copied:")) \(HarmlessText.of("\(failure)"))", to: .error)
        }
        if summary.failures.count > 20 {
            output.say("\(name): and \(summary.failures.count - 20) more that were not copied", to: .error)
        }
        guard !run.report.quiet || run.isDryRun else { return }
        let own = output.style(.output).host(result.host.label, named: result.host.name.text)
        if run.lists {
            for change in summary.changes { output.say("\(own): \(Self.line(change))") }
            if summary.omittedChanges > 0 { output.say("\(own): and \(summary.omittedChanges) more changes") }
        }
        if !run.report.quiet { output.say("\(own): \(self.summary(summary, result))") }
    }

    private static func line(_ change: SyncChange) -> String {
        let path = change.path.isEmpty ? "." : HarmlessText.of(change.path)
        let kind = change.kind.rawValue
        return kind + String(repeating: " ", count: 9 - kind.count) + path + (change.isFolder ? "/" : "")
    }

    private func summary(_ summary: TransferSummary, _ result: HostResult<TransferSummary>) -> String {
        if run.isDryRun { return "\(Self.count(summary.changes)); nothing was done" }
        if summary.isSame { return "nothing to do (\(Format.duration(result.duration)))" }
        var text = "\(summary.files) \(summary.files == 1 ? "file" : "files"), \(Format.bytes(summary.bytes))"
        if !summary.changes.isEmpty { text = "\(Self.count(summary.changes)); \(text)" }
        return "\(text) to \(HarmlessText.of(summary.path)) (\(Format.duration(result.duration)))"
    }

    private static func count(_ changes: [SyncChange]) -> String {
        let parts = [SyncChange.Kind.created, .updated, .metadata, .deleted].compactMap { kind in
            let count = changes.count { $0.kind == kind }
            return count == 0 ? nil : "\(count) \(kind == .metadata ? "with other mode, owner or time" : kind.rawValue)"
        }
        return parts.isEmpty ? "nothing to do" : parts.joined(separator: ", ")
    }

    func summarize(_ summary: RunSummary<TransferSummary>) {
        if json { output.say(summary.object.finished) } else { summary.tell(output, isQuiet: run.report.quiet) }
    }

    // MARK: Machines

    private func tellMachines(_ result: HostResult<TransferSummary>) {
        var object = JSONObject(event: "result", result.host)
        object.add("ok", result.verdict == .succeeded)
        if let summary = result.transfer {
            for change in summary.changes where run.lists {
                var line = JSONObject(event: "change", result.host)
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
        object.add(endOf: result)
        output.say(object.finished)
    }
}
