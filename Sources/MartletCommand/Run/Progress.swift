import Synchronization

/// The line at the bottom of a terminal that says how far a long run has come.
final class Progress: Sendable {
    private struct State {
        var waiting: [Host] = []
        var done = 0
        var failed = 0
        var isStopped = false
    }

    private let output: Output
    private let total: Int
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(_ output: Output, total: Int) {
        self.output = output
        self.total = total
    }

    func started(_ host: Host) { state.withLock { $0.waiting.append(host) } }

    func ended(_ host: Host, succeeded: Bool) {
        state.withLock { state in
            state.waiting.removeAll { $0.index == host.index }
            state.done += 1
            if !succeeded { state.failed += 1 }
        }
        if ContinuousClock.now - start > .seconds(1) { show() }
    }

    /// Shows the line after a second and keeps its clock going, until the task is cancelled.
    func run() async {
        guard output.errorIsTerminal else { return }
        while !Task.isCancelled {
            await Pause.wait(.seconds(1))
            if !Task.isCancelled { show() }
        }
    }

    private func show() {
        let seconds = (ContinuousClock.now - start).components.seconds
        // Shown under the lock: what is shown last must not be older than what was shown before it, or than the stop.
        state.withLock { state in
            guard !state.isStopped else { return }
            var line = "\(state.done)/\(total) done"
            if state.failed > 0 { line += ", \(state.failed) failed" }
            line += ", \(seconds) s"
            if !state.waiting.isEmpty {
                // The width of the terminal cuts the rest.
                line += ", waiting for: " + state.waiting.prefix(20).map(\.label).joined(separator: " ")
                if state.waiting.count > 20 { line += " …" }
            }
            output.show(status: line)
        }
    }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            output.show(status: nil)
        }
    }
}
