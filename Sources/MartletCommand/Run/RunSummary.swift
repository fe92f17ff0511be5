import MartletFleet

/// What came of all hosts, whatever was done there.
struct RunSummary<Value: Sendable>: Sendable {
    var results: FleetResults<Value>
    var duration: Duration
    var interruption: Interruption.Cause?

    var hosts: [HostResult<Value>] { results.hosts }

    func count(_ verdict: Verdict) -> Int { hosts.count { $0.verdict == verdict } }

    /// Why the strategy ended it before all had their turn, or though they had; nil if it did not, or somebody interrupted it.
    var stop: FleetStop? {
        guard interruption == nil else { return nil }
        return switch results.stop {
        case .budget?: count(.skipped) > 0 ? results.stop : nil
        case .verify?: results.stop
        case .cancelled?, nil: nil
        }
    }

    /// With what the program exits, if nothing ended it early.
    var exitStatus: Int32 {
        if stop != nil { return ExitStatus.stopped }
        if hosts.contains(where: \.isUnreachable) { return ExitStatus.unreachable }
        return count(.succeeded) == hosts.count ? ExitStatus.success : ExitStatus.failed
    }

    // MARK: People

    /// Says how many ended how, and who did not succeed. Of one host only what is not known yet: its error was told in full.
    func tell(_ output: Output, isQuiet: Bool) {
        let style = output.errorStyle
        output.tell(interruption)
        if let stop { output.say(style.warning(HarmlessText.of("\(stop)")), to: .error) }
        let bad = hosts.filter { $0.verdict != .succeeded }
        if hosts.count == 1 {
            guard let result = bad.first, let reason = result.reason, result.error == nil else { return }
            return output.say(
                "\(result.host.label): \(style.bad(reason)) (\(Format.duration(result.duration)))", to: .error)
        }
        if isQuiet, bad.isEmpty, stop == nil { return }
        output.say(headline(style), to: .error)
        // Who was not begun has no more to tell than the headline does.
        tell(bad.filter { $0.verdict != .notStarted && $0.verdict != .skipped }, output)
        let skipped = bad.filter { $0.verdict == .skipped }
        guard !skipped.isEmpty else { return }
        output.say("  skipped: \(NodeSet.fold(skipped.map(\.host.label)))", to: .error)
    }

    private func tell(_ bad: [HostResult<Value>], _ output: Output) {
        let style = output.errorStyle
        let names = min(32, bad.map(\.host.label.count).max() ?? 0)
        let reasons = min(60, bad.map { $0.reason?.count ?? 0 }.max() ?? 0)
        for result in bad {
            let name = style.host(result.host.label.padded(to: names), named: result.host.name.text)
            let reason = (result.reason ?? "").padded(to: reasons)
            output.say("  \(name)  \(style.bad(reason))  \(Format.duration(result.duration))", to: .error)
        }
    }

    private func headline(_ style: Style) -> String {
        let parts = Verdict.allCases.compactMap { verdict in
            let count = count(verdict)
            return count == 0 ? nil : verdict.paint("\(count) \(verdict.words)", style)
        }
        return "\(hosts.count) hosts: \(parts.joined(separator: ", ")) in \(Format.duration(duration))"
    }

    // MARK: Machines

    var object: JSONObject {
        var object = JSONObject()
        object.add("event", "summary")
        object.add("hosts", hosts.count)
        object.add("succeeded", count(.succeeded))
        object.add("failed", count(.failed))
        object.add("unreachable", count(.unreachable))
        object.add("lost", count(.lost))
        object.add("interrupted", count(.interrupted) + count(.notStarted))
        object.add("skipped", count(.skipped))
        object.add("stopped", stop.map { "\($0)" })
        object.add("duration", duration)
        return object
    }
}
