import Martlet
import MartletFleet
import Synchronization

/// What the end of a terminal shows while a run goes on: who is where, or, where there is little room, one line of it.
final class Progress: Sendable {
    private struct State {
        var fleet: FleetProgress
        /// Who has begun and not ended.
        var working: [Host] = []
        var failed = 0
        /// Who was lost after it had begun.
        var lost: Set<GroupMember> = []
        /// What is done with all of a batch.
        var phase: String?
        var isStopped = false
    }

    private let output: Output
    private let hosts: [GroupMember: Host]
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    init(_ output: Output, _ hosts: [Host]) {
        self.output = output
        self.hosts = Dictionary(hosts.map { ($0.member, $0) }) { first, _ in first }
        state = Mutex(State(fleet: FleetProgress(hosts.map(\.member))))
    }

    /// Takes in what happens to whom.
    func note(_ event: FleetEvent) {
        state.withLock { state in
            state.fleet.note(event)
            switch event {
            case .connecting(let member, attempt: 1): if let host = hosts[member] { state.working.append(host) }
            case .batch(let number, of: let count, _) where count > 1: state.phase = "batch \(number) of \(count)"
            case .verifying(let batch): state.phase = "checking batch \(batch)"
            default: break
            }
        }
    }

    /// What came of a host is known.
    func ended(_ host: Host, _ verdict: Verdict) {
        state.withLock { state in
            state.working.removeAll { $0.index == host.index }
            if verdict != .succeeded { state.failed += 1 }
            if verdict == .lost { state.lost.insert(host.member) }
        }
    }

    /// Shows it after a second and keeps its clock going, until the task is cancelled.
    func run() async {
        guard output.errorIsTerminal else { return }
        await Pause.wait(.seconds(1))
        while !Task.isCancelled {
            show()
            await Pause.wait(.milliseconds(250))
        }
    }

    private func show() {
        let seconds = (ContinuousClock.now - start).components.seconds
        // Shown under the lock: what is shown last must not be older than what was shown before it, or than the stop.
        state.withLock { state in
            guard !state.isStopped else { return }
            if hosts.count > 1, output.hasRoom(for: FleetView.height) {
                output.show(FleetView(state.fleet, state.phase, lost: state.lost, seconds: seconds).lines)
            } else {
                output.show(status: Self.line(state, hosts.count, seconds))
            }
        }
    }

    /// `3/20 done, 1 failed, 12 s, waiting for: web4 web5`
    private static func line(_ state: State, _ total: Int, _ seconds: Int64) -> String {
        var line = "\(state.fleet.endedCount)/\(total) done"
        if state.failed > 0 { line += ", \(state.failed) failed" }
        line += ", \(seconds) s"
        if let phase = state.phase { line += ", \(phase)" }
        if !state.working.isEmpty {
            // The width of the terminal cuts the rest.
            line +=
                ", waiting for: "
                + state.working.sorted { $0.index < $1.index }.prefix(20).map(\.label).joined(separator: " ")
            if state.working.count > 20 { line += " …" }
        }
        return line
    }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            output.show(status: nil)
        }
    }
}
