import MartletReactor
import Synchronization

/// How long those that are quick wait for those that are slow, when all get the same piece by piece: of each piece as soon as
/// half of them have it, the others are late. Who has been late for half a minute in all, and three times as long as half of
/// them have needed in all, is left behind. So one that hangs, or has a thin line, does not hold up the others for longer, and
/// where all are slow, be it by turns, nobody is left behind.
final class RelayPace: Sendable {
    private struct State {
        /// What half of them have needed, of all pieces.
        var needed: UInt64 = 0
        var late: [Int: UInt64] = [:]
    }

    private let reactor: Reactor
    private let patience: UInt64
    private let leave: @Sendable (Int) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - patience: in nanoseconds. Default: 30 s.
    ///   - leave: ends what is done with one that is too slow.
    init(_ reactor: Reactor, patience: UInt64 = 30_000_000_000, leave: @escaping @Sendable (Int) -> Void) {
        (self.reactor, self.patience, self.leave) = (reactor, patience, leave)
    }

    /// Does the same with all, at once.
    ///
    /// - Returns: what came of those that kept up, without `nil`; who did not.
    /// - Throws: what `body` throws.
    func all<R: Sendable>(
        _ numbers: [Int], _ body: @escaping @Sendable (Int) async throws -> R?
    ) async throws -> ([Int: R], behind: Set<Int>) {
        try await withThrowingTaskGroup(of: (number: Int, value: R?)?.self) { group in
            let start = Reactor.now
            var (left, behind): (Set<Int>, Set<Int>) = (Set(numbers), [])
            for number in numbers { group.addTask { (number, try await body(number)) } }
            var results: [Int: R] = [:]
            var half: UInt64?
            func wait(_ limit: UInt64) {
                group.addTask { [reactor] in
                    await reactor.sleep(limit)
                    return nil
                }
            }
            while !left.isEmpty, let ended = try await group.next() {
                let now = Reactor.now
                if let ended {
                    left.remove(ended.number)
                    results[ended.number] = ended.value
                    if let half { note(ended.number, late: now - half) }
                    guard half == nil, !left.isEmpty, left.count <= numbers.count / 2 else { continue }
                    half = now
                    state.withLock { $0.needed += now - start }
                } else if let half {
                    let tooLate = left.filter { rest(of: $0) <= now - half }
                    for number in tooLate { leave(number) }
                    behind.formUnion(tooLate)
                    left.subtract(tooLate)
                }
                if let half, let first = left.map({ rest(of: $0) }).min() { wait(first - min(first, now - half)) }
            }
            // Those that were left end by what was done to them; the clocks by this.
            group.cancelAll()
            return (results, behind)
        }
    }

    private func note(_ number: Int, late: UInt64) { state.withLock { $0.late[number, default: 0] += late } }

    /// For how long one may still be late.
    private func rest(of number: Int) -> UInt64 {
        state.withLock { state in
            let limit = max(patience, 3 * state.needed)
            return limit - min(limit, state.late[number] ?? 0)
        }
    }
}
