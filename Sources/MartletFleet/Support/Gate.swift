import Martlet
import MartletReactor
import Synchronization

/// Opens once, for ever. Any number may wait.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: UnsafeContinuation<Void, Never>] = [:]
        var lastTicket = 0
    }

    private let state = Mutex(State())

    var isOpen: Bool { state.withLock { $0.isOpen } }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when it is open, or the task is cancelled.
    func wait() async {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isOver = state.withLock { state in
                    // Whoever is cancelled from here on finds the waiter.
                    if state.isOpen || Task.isCancelled { return true }
                    state.waiters[ticket] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume()
        }
    }
}

/// Waits on the reactor's own clock.
enum Pause {
    /// Returns early if the task is cancelled.
    static func wait(_ duration: Duration) async {
        let gate = Gate()
        let timer = Reactor.shared.schedule(at: Reactor.now + duration.clampedNanoseconds) { gate.open() }
        await gate.wait()
        Reactor.shared.cancel(timer)
    }
}
