package import Martlet
import MartletReactor
import Synchronization

/// One transfer to members of a run: those whose ways begin alike have it together, each with an outcome of its own.
package final class JointTransfer<Outcome: Sendable>: Sendable {
    package typealias OnProgress = @Sendable (TransferProgress) -> Void
    /// Sends to many, and tells what came of each by its number.
    package typealias Send =
        @Sendable (
            [SyncTarget], (@Sendable (Int, TransferProgress) -> Void)?,
            @escaping @Sendable (Int, Result<Outcome, any Error>) -> Void
        ) async throws -> Void

    private struct Member {
        var target: SyncTarget
        var onProgress: OnProgress?
        var continuation: CheckedContinuation<Outcome, any Error>
    }

    private struct State {
        var plan = JointPlan()
        /// Who waits for an outcome.
        var members: [Int: Member] = [:]
        /// Who was cancelled before it waited.
        var cancelled: Set<Int> = []
        var timer: Reactor.TimerToken?
    }

    /// Those that begin together.
    private struct Round: Sendable {
        var numbers: [Int]
        var targets: [SyncTarget]
        var onProgress: [OnProgress?]
    }

    private let send: Send
    private let sharesWays: Bool
    private let state = Mutex(State())
    private let rounds: AsyncStream<Round>
    private let starter: AsyncStream<Round>.Continuation

    /// - Parameter sharesWays: whether ways may begin alike; if not, nobody waits for anybody.
    package init(sharesWays: Bool = true, _ send: @escaping Send) {
        (self.send, self.sharesWays) = (send, sharesWays)
        // Never more than there are members.
        (rounds, starter) = AsyncStream.makeStream(of: Round.self, bufferingPolicy: .unbounded)
    }

    /// Runs `body`, in which members come and go. What is under way at its end is cancelled.
    func serving<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
        async let _ = serve()
        defer {
            starter.finish()
            if let timer = state.withLock({ $0.timer.take() }) { Reactor.shared.cancel(timer) }
        }
        return try await body()
    }

    private func serve() async {
        await withTaskGroup(of: Void.self) { group in
            for await round in rounds { group.addTask { await self.run(round) } }
        }
    }

    // MARK: Members

    /// A member is begun.
    ///
    /// - Parameter isNear: it is connected already.
    func expect(_ member: Int, on way: JointWay, isNear: Bool = false) {
        guard sharesWays else { return }
        change { $0.plan.expect(member, on: way, isNear: isNear, now: Reactor.now) }
    }

    /// A member's turn is over.
    func left(_ member: Int) { change { $0.plan.left(member, now: Reactor.now) } }

    /// Sends to a member, with others whose ways begin alike. It goes on for them if this one is cancelled.
    func deliver(
        _ member: Int, on way: JointWay, _ target: SyncTarget, _ onProgress: OnProgress?
    ) async throws -> Outcome {
        if way == .alone || !sharesWays {
            // Nobody waits for it.
            left(member)
            return try await alone(target, onProgress)
        }
        defer { _ = state.withLock { $0.cancelled.remove(member) } }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = change { state in
                    if state.cancelled.contains(member) { return true }
                    state.members[member] = Member(
                        target: target, onProgress: onProgress, continuation: continuation)
                    state.plan.came(member, on: way, now: Reactor.now)
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let waiting = change { state in
                state.plan.left(member, now: Reactor.now)
                let waiting = state.members.removeValue(forKey: member)
                if waiting == nil { state.cancelled.insert(member) }
                return waiting
            }
            waiting?.continuation.resume(throwing: CancellationError())
        }
    }

    private func alone(_ target: SyncTarget, _ onProgress: OnProgress?) async throws -> Outcome {
        let outcome = Locked<Result<Outcome, any Error>?>(nil)
        try await send([target], onProgress.map { tell in { @Sendable in tell($1) } }) { _, result in
            outcome.withLock { $0 = result }
        }
        guard let outcome = outcome.value else { throw CancellationError() }
        return try outcome.get()
    }

    // MARK: Rounds

    /// Changes what is known of members, and begins what can begin then.
    private func change<R: Sendable>(_ body: (inout State) -> R) -> R {
        let (result, begun) = state.withLock { state in
            let result = body(&state)
            var begun: [Round] = []
            while let numbers = state.plan.next(now: Reactor.now) {
                let members = numbers.map { state.members[$0]! }
                begun.append(
                    Round(numbers: numbers, targets: members.map(\.target), onProgress: members.map(\.onProgress)))
            }
            if let timer = state.timer.take() { Reactor.shared.cancel(timer) }
            state.timer = state.plan.nextTime.map { time in
                Reactor.shared.schedule(at: time) { [weak self] in self?.change { _ in } }
            }
            return (result, begun)
        }
        for round in begun { starter.yield(round) }
        return result
    }

    private func run(_ round: Round) async {
        var onProgress: (@Sendable (Int, TransferProgress) -> Void)?
        if round.onProgress.contains(where: { $0 != nil }) {
            onProgress = { number, progress in round.onProgress[number]?(progress) }
        }
        do {
            try await send(round.targets, onProgress) { [self] number, result in end(round.numbers[number], result) }
        } catch {
            for number in round.numbers { end(number, .failure(error)) }
        }
    }

    private func end(_ member: Int, _ result: Result<Outcome, any Error>) {
        state.withLock { $0.members.removeValue(forKey: member) }?.continuation.resume(with: result)
    }
}
