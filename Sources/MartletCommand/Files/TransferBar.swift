import Martlet
import MartletFleet
import Synchronization

/// The bar at the bottom of a terminal that says how far the transfers have come.
final class TransferBar: Sendable {
    private struct State {
        var progress: [Int: TransferProgress] = [:]
        var waiting: [Host] = []
        var ended = 0
        var isStopped = false
    }

    private let output: Output
    private let hosts: [GroupMember: Host]
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(_ output: Output, _ hosts: [Host]) {
        self.output = output
        self.hosts = Dictionary(hosts.map { ($0.member, $0) }) { first, _ in first }
    }

    /// Takes in what happens to whom.
    func note(_ event: FleetEvent) {
        state.withLock { state in
            switch event {
            case .connecting(let member, attempt: 1): if let host = hosts[member] { state.waiting.append(host) }
            case .ended(let member, _, _):
                state.waiting.removeAll { $0.member == member }
                state.ended += 1
            default: break
            }
        }
    }

    func progressed(_ host: Host, _ progress: TransferProgress) {
        state.withLock { $0.progress[host.index] = progress }
    }

    /// Shows it, and shows it anew, until the task is cancelled.
    func run() async {
        guard output.errorIsTerminal else { return }
        while !Task.isCancelled {
            await Pause.wait(.milliseconds(250))
            guard !Task.isCancelled else { return }
            let duration = ContinuousClock.now - start
            // Shown under the lock: what is shown last must not be older than the stop.
            state.withLock { state in
                guard !state.isStopped else { return }
                output.show(
                    status: Self.line(
                        Array(state.progress.values), state.waiting.map(\.label), state.ended, hosts.count, duration))
            }
        }
    }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            output.show(status: nil)
        }
    }

    /// `web1  [########--------]  52%  133.1 MB of 256 MB  210 MB/s  disk.img`
    static func line(
        _ all: [TransferProgress], _ waiting: [String], _ ended: Int, _ hosts: Int, _ duration: Duration
    ) -> String {
        let bytes = max(0, all.reduce(0) { $0 &+ $1.byteCount })
        // What is not known of one is not known of all.
        let totals = all.compactMap(\.totalBytes)
        let whole = totals.count == all.count && !all.isEmpty ? totals.reduce(0, &+) : nil
        let files = all.reduce(0) { $0 + $1.fileCount }
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        var parts = [hosts == 1 ? waiting.first ?? "" : "\(ended)/\(hosts) hosts"]
        if let whole, whole > 0 {
            let share = min(1, Double(bytes) / Double(whole))
            let filled = Int(share * 20)
            parts.append("[\(String(repeating: "#", count: filled))\(String(repeating: "-", count: 20 - filled))]")
            parts.append("\(Int(share * 100))%")
            parts.append("\(Format.bytes(bytes)) of \(Format.bytes(whole))")
        } else {
            parts.append(all.isEmpty ? "connecting" : Format.bytes(bytes))
        }
        if bytes > 0, seconds > 0 { parts.append("\(Format.bytes(Int(min(1e18, Double(bytes) / seconds))))/s") }
        let wholeFiles = all.compactMap(\.totalFiles).reduce(0, +)
        if wholeFiles > 1 { parts.append("\(files)/\(wholeFiles) files") }
        if hosts == 1, let path = all.first?.path, !path.isEmpty {
            parts.append(HarmlessText.of(path))
        } else if hosts > 1, !waiting.isEmpty {
            parts.append("waiting for: " + waiting.prefix(20).joined(separator: " "))
        }
        return parts.joined(separator: "  ")
    }
}
