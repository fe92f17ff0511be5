import MartletReactor

/// How long those that are quick wait for those that are slow, when all get the same: as soon as half of them are done, the
/// others have three times the time that this has taken, and at least fifteen seconds. A machine that hangs so holds nobody up, and
/// where all are slow nobody is left behind.
struct RelayPace: Sendable {
    static let patience: UInt64 = 15_000_000_000

    private let reactor: Reactor
    private let leave: @Sendable (Int) -> Void

    /// - Parameter leave: ends what is done with one that is too slow.
    init(_ reactor: Reactor, leave: @escaping @Sendable (Int) -> Void) { (self.reactor, self.leave) = (reactor, leave) }

    /// Does the same with all, at once.
    ///
    /// - Returns: what came of those that kept up, without `nil`; who did not.
    /// - Throws: what `body` throws.
    func all<R: Sendable>(
        _ numbers: [Int], _ body: @escaping @Sendable (Int) async throws -> R?
    ) async throws -> ([Int: R], behind: Set<Int>) {
        try await withThrowingTaskGroup(of: (number: Int, value: R?)?.self) { group in
            let start = Reactor.now
            var left = Set(numbers)
            for number in numbers { group.addTask { (number, try await body(number)) } }
            var results: [Int: R] = [:]
            var isTimed = false
            while !left.isEmpty, let ended = try await group.next() {
                guard let ended else {
                    for number in left { leave(number) }
                    break
                }
                left.remove(ended.number)
                results[ended.number] = ended.value
                guard !isTimed, !left.isEmpty, left.count <= numbers.count / 2 else { continue }
                isTimed = true
                let limit = max(Self.patience, 3 * (Reactor.now - start))
                group.addTask { [reactor] in
                    await reactor.sleep(limit)
                    return nil
                }
            }
            // Those that were left end by what was done to them; the clock by this.
            group.cancelAll()
            return (results, left)
        }
    }
}
