import Martlet

/// Tells people what happens: lines with the host's name in front, errors in full, a summary at the end.
final class TextReporter: RunReporter {
    private let output: Output
    private let lanes: [OutputLane]
    private let hasPrefix: Bool
    private let isQuiet: Bool
    private let hostCount: Int
    private let width: Int
    private let progress: Progress

    init(_ output: Output, hosts: [Host], hasPrefix: Bool, isQuiet: Bool, progress: Progress) {
        self.output = output
        self.hasPrefix = hasPrefix
        self.isQuiet = isQuiet
        self.progress = progress
        lanes = hosts.map { _ in output.makeLane() }
        hostCount = hosts.count
        // One long name does not push everything to the right.
        width = min(24, hosts.map(\.label.count).max() ?? 0)
    }

    func line(_ line: OutputLine, from host: Host) async {
        let pipe: Output.Pipe = line.pipe == .output ? .output : .error
        var bytes = Array(prefix(host, pipe).utf8)
        // A program that reads us gets what the far program wrote; a terminal gets what does no harm.
        if output.isTerminal(pipe) { bytes += Array(HarmlessText.of(line.bytes).utf8) } else { bytes += line.bytes }
        switch line.end {
        case .none where isExact(pipe): break
        case .carriageReturnLineFeed where isExact(pipe): bytes += [0x0d, 0x0a]
        default: bytes.append(0x0a)
        }
        await lanes[host.index].write(bytes, to: pipe)
    }

    func item(_ json: String, from host: Host) async {
        await line(OutputLine(pipe: .output, bytes: Array(json.utf8), end: .lineFeed), from: host)
    }

    /// Whether the bytes of one host pass as they are, without anything of ours.
    private func isExact(_ pipe: Output.Pipe) -> Bool { !hasPrefix && hostCount == 1 && !output.isTerminal(pipe) }

    private func prefix(_ host: Host, _ pipe: Output.Pipe) -> String {
        guard hasPrefix else { return "" }
        let style = output.style(pipe)
        guard output.isTerminal(pipe) else { return style.host("\(host.label):", named: host.name.text) + " " }
        let name = style.host(host.label.padded(to: width), named: host.name.text)
        return name + (pipe == .output ? style.faint(" | ") : style.bad(" ! "))
    }

    func ended(_ outcome: HostOutcome<CommandResult>) {
        progress.ended(outcome.host, succeeded: outcome.verdict == .succeeded)
        guard case .failed(let error) = outcome.result else { return }
        let style = output.errorStyle
        let name = style.host(outcome.host.label, named: outcome.host.name.text)
        let text = HarmlessText.of(error.description, keepsLines: true)
        output.say("\(name): \(style.bad("error:")) \(text)", to: .error)
    }

    func summarize(_ summary: RunSummary) {
        progress.stop()
        let bad = summary.outcomes.filter { $0.verdict != .succeeded }
        if case .signal(let number)? = summary.interruption {
            output.say(output.errorStyle.warning("ended by \(Signals.name(number))"), to: .error)
        }
        if hostCount == 1 {
            // An error was told in full; how a command ended was not yet.
            if let outcome = bad.first, let reason = outcome.reason, !outcome.isError {
                let time = Format.duration(outcome.duration)
                output.say("\(outcome.host.label): \(output.errorStyle.bad(reason)) (\(time))", to: .error)
            }
            return
        }
        if isQuiet, bad.isEmpty { return }
        output.say(headline(summary), to: .error)
        let shown = bad.filter { $0.verdict != .notStarted }
        let names = min(32, shown.map(\.host.label.count).max() ?? 0)
        let reasons = min(60, shown.map { $0.reason?.count ?? 0 }.max() ?? 0)
        for outcome in shown {
            let style = output.errorStyle
            let name = style.host(outcome.host.label.padded(to: names), named: outcome.host.name.text)
            let reason = (outcome.reason ?? "").padded(to: reasons)
            output.say("  \(name)  \(style.bad(reason))  \(Format.duration(outcome.duration))", to: .error)
        }
    }

    private func headline(_ summary: RunSummary) -> String {
        let style = output.errorStyle
        var parts: [String] = []
        func part(_ verdict: RunSummary.Verdict, _ text: String, _ paint: (String) -> String) {
            let count = summary.count(verdict)
            if count > 0 { parts.append(paint("\(count) \(text)")) }
        }
        part(.succeeded, "succeeded", style.good)
        part(.failed, "failed", style.bad)
        part(.unreachable, "not reached", style.bad)
        part(.interrupted, "interrupted", style.warning)
        part(.notStarted, "not started", style.warning)
        return
            "\(summary.outcomes.count) hosts: \(parts.joined(separator: ", ")) in \(Format.duration(summary.duration))"
    }
}

extension HostOutcome {
    fileprivate var isError: Bool { if case .failed = result { true } else { false } }
}
