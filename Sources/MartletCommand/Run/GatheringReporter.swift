import Martlet
import MartletFleet
import Synchronization

/// Tells what hosts wrote to standard output at the end, each output once; all else as it comes, as ``TextReporter`` does.
final class GatheringReporter: RunReporter {
    private struct Gathered {
        var bytes: [UInt8] = []
        /// How many more there were.
        var dropped = 0
    }

    private let output: Output
    private let text: TextReporter
    private let showsDifferences: Bool
    private let gathered: Mutex<[Gathered]>
    /// How much is kept of each host, in bytes.
    private let limit: Int

    /// For all hosts together, in bytes.
    private static let room = 256 << 20

    init(_ output: Output, _ text: TextReporter, hosts: [Host], showsDifferences: Bool) {
        (self.output, self.text, self.showsDifferences) = (output, text, showsDifferences)
        gathered = Mutex(Array(repeating: Gathered(), count: hosts.count))
        limit = min(16 << 20, max(64 << 10, Self.room / max(1, hosts.count)))
    }

    func line(_ line: OutputLine, from host: Host) async {
        guard line.pipe == .output else { return await text.line(line, from: host) }
        let end: [UInt8] = line.end == .none ? [] : [0x0a]
        gathered.withLock { gathered in
            let room = limit - gathered[host.index].bytes.count
            guard line.bytes.count + end.count <= room else {
                gathered[host.index].dropped += line.bytes.count + end.count
                return
            }
            gathered[host.index].bytes += line.bytes + end
        }
    }

    func item(_ json: String, from host: Host) async {
        await line(OutputLine(pipe: .output, bytes: Array(json.utf8), end: .lineFeed), from: host)
    }

    func retrying(_ host: Host, after pause: Duration, _ error: any Error) {
        text.retrying(host, after: pause, error)
    }
    func ended(_ result: HostResult<CommandResult>) { text.ended(result) }
    func checked(_ check: BatchCheck) { text.checked(check) }

    func summarize(_ summary: RunSummary<CommandResult>) {
        let gathered = gathered.withLock { $0 }
        var texts: [(String, String)] = []
        for result in summary.hosts {
            let own = gathered[result.host.index]
            // Who was not asked has not said nothing.
            guard result.timings != nil, !own.bytes.isEmpty || result.verdict == .succeeded else { continue }
            var text =
                output.isTerminal(.output)
                ? HarmlessText.of(String(decoding: own.bytes, as: UTF8.self), keepsLines: true)
                : String(decoding: own.bytes, as: UTF8.self)
            if own.dropped > 0 { text += "(and \(Format.bytes(own.dropped)) more, which were not kept)\n" }
            texts.append((result.host.label, text))
        }
        let groups = OutputGroups(texts)
        let differences = showsDifferences ? groups.differences() : []
        for (number, group) in groups.enumerated() {
            let count = groups.count == 1 ? "" : " (\(Format.count(group.names.count, "host")))"
            output.say(output.style(.output).heading("\(group.nodes)\(count):"))
            let shown = showsDifferences && number > 0 ? differences[number - 1].difference.description : group.content
            var lines = shown.split(omittingEmptySubsequences: false) { $0.isNewline }
            if lines.last == "" { lines.removeLast() }
            if lines.isEmpty { lines = ["(nothing)"] }
            for line in lines { output.say("  \(line)") }
        }
        text.summarize(summary)
    }
}
