import DequeModule
import MartletReactor
import Synchronization

/// Tells of the phases of a connect, each once and in order, however many tries the connect takes: what an earlier try went
/// through is not told again, and its time is the next phase's. Who is told may block: it is never called on the polling
/// thread.
final class PhaseReport: Sendable {
    private struct State {
        var waiting = Deque<(ConnectPhase, Duration)>()
        var isRunning = false
        var phases: [ConnectPhase: Duration] = [:]
        var last = -1
        var lastTime = Reactor.now
    }

    private let reactor: Reactor
    private let onPhase: @Sendable (ConnectPhase, Duration) -> Void
    private let state = Mutex(State())
    private let idle = CreditGate()

    init(_ reactor: Reactor, _ onPhase: @escaping @Sendable (ConnectPhase, Duration) -> Void) {
        self.reactor = reactor
        self.onPhase = onPhase
    }

    /// A phase is over.
    func left(_ phase: ConnectPhase) {
        let isFirst = state.withLock { state in
            guard phase.order > state.last else { return false }
            let now = Reactor.now
            let time = Duration.nanoseconds(now - state.lastTime)
            (state.last, state.lastTime) = (phase.order, now)
            state.phases[phase] = time
            state.waiting.append((phase, time))
            defer { state.isRunning = true }
            return !state.isRunning
        }
        // The connect waits for its end.
        if isFirst { Task(executorPreference: reactor) { [self] in run() } }
    }

    private func run() {
        while let (phase, time) = state.withLock({ state in
            let next = state.waiting.popFirst()
            state.isRunning = next != nil
            return next
        }) {
            onPhase(phase, time)
        }
        idle.open()
    }

    /// Waits until all is told; returns the time of each phase.
    func finish() async -> [ConnectPhase: Duration] {
        while true {
            let generation = idle.generation
            let (isRunning, phases) = state.withLock { ($0.isRunning, $0.phases) }
            guard isRunning else { return phases }
            await idle.wait(since: generation)
        }
    }
}
