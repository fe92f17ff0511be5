import Martlet
import MartletFleet

/// Tells people what happens: lines with the host's name in front, errors in full, a summary at the end.
final class TextReporter: RunReporter {
    private let output: Output
    private let lanes: [OutputLane]
    private let hasPrefix: Bool
    private let isQuiet: Bool
    private let hostCount: Int
    private let width: Int

    init(_ output: Output, hosts: [Host], hasPrefix: Bool, isQuiet: Bool) {
        self.output = output
        self.hasPrefix = hasPrefix
        self.isQuiet = isQuiet
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

    func retrying(_ host: Host, after pause: Duration, _ error: any Error) {
        guard !isQuiet else { return }
        let reason = HarmlessText.of((error as? MartletError)?.message ?? "\(error)")
        let again = output.errorStyle.warning("trying again in \(Format.duration(pause)):")
        output.say("\(name(host)): \(again) \(reason)", to: .error)
    }

    func ended(_ result: HostResult<CommandResult>) {
        guard let error = result.error else { return }
        tell(error, of: result.host)
    }

    func checked(_ check: BatchCheck) {
        if isQuiet, check.isGood { return }
        output.say(check.words(output.errorStyle), to: .error)
    }

    private func name(_ host: Host) -> String { output.errorStyle.host(host.label, named: host.name.text) }

    private func tell(_ error: MartletError, of host: Host) {
        let text = HarmlessText.of(error.description, keepsLines: true)
        output.say("\(name(host)): \(output.errorStyle.bad("error:")) \(text)", to: .error)
    }

    func summarize(_ summary: RunSummary<CommandResult>) { summary.tell(output, isQuiet: isQuiet) }
}
