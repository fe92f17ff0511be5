import Martlet
import MartletReactor
import Synchronization

/// Opens once, for ever. Any number may wait.
package final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: UnsafeContinuation<Void, Never>] = [:]
        var lastTicket = 0
    }

    private let state = Mutex(State())

    package init() {}

    package var isOpen: Bool { state.withLock { $0.isOpen } }

    package func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when it is open, or the task is cancelled.
    package func wait() async {
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
package enum Pause {
    /// Returns early if the task is cancelled.
    package static func wait(_ duration: Duration) async {
        await wait(until: Reactor.now + duration.clampedNanoseconds)
    }

    /// Returns early if the gate opens or the task is cancelled.
    package static func wait(_ duration: Duration, until gate: Gate) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await gate.wait() }
            group.addTask { await wait(duration) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Returns early if the task is cancelled.
    static func wait(until deadline: UInt64) async {
        let gate = Gate()
        let timer = Reactor.shared.schedule(at: deadline) { gate.open() }
        await gate.wait()
        Reactor.shared.cancel(timer)
    }
}
