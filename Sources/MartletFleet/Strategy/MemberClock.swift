import Martlet
import MartletReactor
import Synchronization

/// How long a member has. It begins with its first connect's turn, and goes on through all its tries.
final class MemberClock: Sendable {
    private let limit: Duration?
    private let deadline = Mutex<UInt64?>(nil)
    private let hasBegun = Gate()

    init(_ limit: Duration?) { self.limit = limit }

    func begin() {
        guard let limit else { return }
        deadline.withLock { if $0 == nil { $0 = Reactor.now + limit.clampedNanoseconds } }
        hasBegun.open()
    }

    /// Runs `body`, which is cancelled when the time is up.
    ///
    /// - Throws: ``MemberDeadlineError``; what `body` throws.
    func limit<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R {
        guard let limit else { return try await body() }
        return try await withThrowingTaskGroup(of: R?.self) { group in
            defer { group.cancelAll() }
            group.addTask { .some(try await body()) }
            group.addTask {
                await self.untilOver()
                return nil
            }
            if let value = try await group.next()! { return value }
            group.cancelAll()
            // What has just ended in time counts.
            if let value = try? await group.next() ?? nil { return value }
            throw MemberDeadlineError(limit: limit)
        }
    }

    private func untilOver() async {
        await hasBegun.wait()
        guard let end = deadline.withLock({ $0 }) else { return }
        let gate = Gate()
        let timer = Reactor.shared.schedule(at: end) { gate.open() }
        await gate.wait()
        Reactor.shared.cancel(timer)
    }
}
