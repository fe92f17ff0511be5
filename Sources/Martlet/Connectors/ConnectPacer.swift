import DequeModule
import Synchronization

/// Lets only so many connects be under way at once: in all, since each costs cryptography here, and at one door, since
/// sshd turns connections away at random when more than ten are not yet authenticated (`MaxStartups 10:30:100`).
final class ConnectPacer: Sendable {
    static let limit = 32
    static let limitPerDoor = 8

    private let state = Mutex(State())

    private struct State {
        var underWay = 0
        var atDoor: [String: Int] = [:]
        var waiting = Deque<(door: String, continuation: UnsafeContinuation<Void, Never>)>()

        mutating func enter(_ door: String) -> Bool {
            guard underWay < limit, atDoor[door, default: 0] < limitPerDoor else { return false }
            underWay += 1
            atDoor[door, default: 0] += 1
            return true
        }
    }

    func withTurn<R: Sendable>(at door: String, _ body: () async throws -> R) async rethrows -> R {
        await enter(door)
        defer { leave(door) }
        return try await body()
    }

    private func enter(_ door: String) async {
        await withUnsafeContinuation { continuation in
            let isNow = state.withLock { state in
                if state.enter(door) { return true }
                state.waiting.append((door, continuation))
                return false
            }
            if isNow { continuation.resume() }
        }
    }

    private func leave(_ door: String) {
        let next = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            state.underWay -= 1
            state.atDoor[door]! -= 1
            if state.atDoor[door] == 0 { state.atDoor[door] = nil }
            var next: [UnsafeContinuation<Void, Never>] = []
            // In order, but nobody waits for somebody else's door.
            let waiting = state.waiting
            state.waiting.removeAll(keepingCapacity: true)
            for one in waiting {
                if state.enter(one.door) { next.append(one.continuation) } else { state.waiting.append(one) }
            }
            return next
        }
        for continuation in next { continuation.resume() }
    }
}
