import DequeModule
import Synchronization

/// Lets only so many connects be under way at once: in all, since each costs cryptography here, and at one door, since
/// sshd turns connections away at random when more than ten are not yet authenticated (`MaxStartups 10:30:100`).
final class ConnectPacer: Sendable {
    static let limit = 32
    static let limitPerDoor = 8

    private let state = Mutex(State())

    private struct Waiter {
        var ticket: Int
        var door: String
        /// Gets whether it is its turn, or it was cancelled.
        var continuation: UnsafeContinuation<Bool, Never>
    }

    private struct State {
        var underWay = 0
        var atDoor: [String: Int] = [:]
        var waiting = Deque<Waiter>()
        var lastTicket = 0

        mutating func enter(_ door: String) -> Bool {
            guard underWay < limit, atDoor[door, default: 0] < limitPerDoor else { return false }
            underWay += 1
            atDoor[door, default: 0] += 1
            return true
        }
    }

    /// Runs `body` when it is its turn.
    ///
    /// - Throws: what `body` throws; `CancellationError` if the task is cancelled while it waits.
    func withTurn<R: Sendable>(at door: String, _ body: () async throws -> R) async throws -> R {
        guard await enter(door) else { throw CancellationError() }
        defer { leave(door) }
        return try await body()
    }

    private func enter(_ door: String) async -> Bool {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isTurn = state.withLock { state -> Bool? in
                    // Whoever is cancelled from here on finds the waiter.
                    if Task.isCancelled { return false }
                    if state.enter(door) { return true }
                    state.waiting.append(Waiter(ticket: ticket, door: door, continuation: continuation))
                    return nil
                }
                if let isTurn { continuation.resume(returning: isTurn) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.ticket == ticket }.map { state.waiting.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: false)
        }
    }

    private func leave(_ door: String) {
        let next = state.withLock { state -> [Waiter] in
            state.underWay -= 1
            state.atDoor[door]! -= 1
            if state.atDoor[door] == 0 { state.atDoor[door] = nil }
            var next: [Waiter] = []
            // In order, but nobody waits for somebody else's door.
            let waiting = state.waiting
            state.waiting.removeAll(keepingCapacity: true)
            for one in waiting {
                if state.enter(one.door) { next.append(one) } else { state.waiting.append(one) }
            }
            return next
        }
        for waiter in next { waiter.continuation.resume(returning: true) }
    }
}
