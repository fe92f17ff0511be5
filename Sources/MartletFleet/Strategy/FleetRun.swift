import Martlet
import MartletReactor

/// Told of who is at it, by places in the group: before a member's attempt begins, and when it has ended.
struct FleetAttendance: Sendable {
    let begun: @Sendable (Int) -> Void
    let ended: @Sendable (Int) -> Void

    init(_ begun: @escaping @Sendable (Int) -> Void, ended: @escaping @Sendable (Int) -> Void) {
        (self.begun, self.ended) = (begun, ended)
    }
}

/// Does the same with every member, as the strategy says.
struct FleetRun<Handle: AnyObject & Sendable, Value: Sendable>: Sendable {
    typealias Step = @Sendable (Handle, GroupMember) async throws -> Value

    private enum Event: Sendable {
        case ended(Int, step: Int, Attempt)
        case woke(Int)
        case verified((any Error)?)
        case closed
    }

    private struct Attempt: Sendable {
        var outcome: MemberOutcome<Value>
        var isConnect = false
        var begin: ContinuousClock.Instant
        var timings: ConnectTimings?
    }

    private let group: Group
    private let connection: @Sendable (GroupHost) -> LazyConnection<Handle>
    private let steps: [Step]
    private let timings: @Sendable (Handle) -> ConnectTimings?
    /// Told of each member as it ends, and at the end of those that were not begun; one at a time.
    private let onResult: (@Sendable (MemberResult<Value>) -> Void)?
    private let attendance: FleetAttendance?
    private let clocks: [MemberClock]

    init(
        _ group: Group, by connection: @escaping @Sendable (GroupHost) -> LazyConnection<Handle>, steps: [Step],
        timings: @escaping @Sendable (Handle) -> ConnectTimings? = { ($0 as? Context)?.timings },
        onResult: (@Sendable (MemberResult<Value>) -> Void)? = nil, attendance: FleetAttendance? = nil
    ) {
        (self.group, self.connection, self.steps) = (group, connection, steps)
        (self.timings, self.onResult, self.attendance) = (timings, onResult, attendance)
        clocks = group.entries.map { _ in MemberClock(group.strategy.memberDeadline) }
    }

    private var strategy: FleetStrategy { group.strategy }
    private func tell(_ event: FleetEvent) { group.onEvent?(event) }

    /// - Throws: ``MartletError`` `misuse` for a strategy that is none.
    func run() async throws -> GroupResults<Value> {
        defer { tell(.finished) }
        try strategy.check()
        return await withTaskExecutorPreference(Reactor.shared) { await go() }
    }

    private func go() async -> GroupResults<Value> {
        var planner = FleetPlanner(group.count, strategy, steps: steps.count)
        var results = group.entries.map { MemberResult<Value>($0.member, .skipped("its turn had not come")) }
        var begins = [ContinuousClock.Instant?](repeating: nil, count: results.count)
        var isSettled = [Bool](repeating: false, count: results.count)
        var stop: FleetStop?
        let halt = Gate()
        var random = SystemRandomNumberGenerator()
        await withTaskGroup(of: Event.self) { tasks in
            func settle(_ index: Int, behind step: Int) {
                isSettled[index] = true
                if step + 1 < steps.count, results[index].outcome.kind == .ok {
                    results[index].outcome = .skipped("stopped behind step \(step + 1) of \(steps.count)")
                }
                let result = results[index]
                tell(.ended(result.member, result.outcome.kind, result.duration))
                onResult?(result)
                guard strategy.closesMembers else { return }
                // At once: a check that follows connects anew. The next does not wait until this one has left.
                guard let close = connection(group.entries[index].host).closing(within: .seconds(2)) else { return }
                tasks.addTask {
                    await close()
                    return .closed
                }
            }
            // Who waited for another try or another step when all had to stop stays as it was.
            func settleBegun() {
                for index in results.indices where planner.hasBegun(index) && !isSettled[index] {
                    settle(index, behind: planner.step(of: index) - 1)
                }
            }
            func noteStop(_ error: (any Error)? = nil) {
                guard stop == nil, let reason = planner.stop else { return }
                stop =
                    switch reason {
                    case .budget: .budget(failed: planner.failures, allowed: planner.allowedFailures)
                    case .verify(let batch): .verify(batch: batch + 1, error ?? CancellationError())
                    case .cancelled: .cancelled
                    }
                tell(.stopped(stop!))
                // Nobody waits for a try that will not be.
                halt.open()
            }
            func pump() {
                if Task.isCancelled {
                    planner.cancel()
                    noteStop()
                }
                var begun: [(index: Int, step: Int)] = []
                while let action = planner.next() {
                    switch action {
                    case .batch(let batch):
                        let members = planner.batches[batch].map { group[$0] }
                        tell(.batch(batch + 1, of: planner.batches.count, members))
                    case .start(let index, let step):
                        results[index].attempts += 1
                        attendance?.begun(index)
                        begun.append((index, step))
                    case .verify(let number):
                        if stop != nil { settleBegun() }
                        tell(.verifying(batch: number + 1))
                        let range = planner.batches[number]
                        let batch = FleetBatch(
                            number: number + 1, count: planner.batches.count,
                            group: Group(Array(group.entries[range]), like: group.withoutStrategy),
                            outcomes: results[range].map(\.outcome.kind), stop: stop)
                        let verify = strategy.verify!
                        tasks.addTask {
                            do { try await verify(batch) } catch { return .verified(error) }
                            return .verified(nil)
                        }
                    }
                }
                // Behind the loop: of those that are begun at once nobody is at work before it is known of all.
                for (index, step) in begun {
                    let attempt = results[index].attempts
                    tasks.addTask { await self.work(index, step, attempt) }
                }
            }
            pump()
            while let event = await tasks.next() {
                switch event {
                case .closed: break
                case .woke(let index):
                    planner.woke(index)
                case .verified(let error):
                    planner.verified(error == nil)
                    noteStop(error)
                    // It knew that too many had failed, and says more than that.
                    if let error, !(error is FleetStop), case .budget? = stop {
                        stop = .verify(batch: planner.batch + 1, error)
                    }
                case .ended(let index, let step, let attempt):
                    let begin = begins[index] ?? attempt.begin
                    begins[index] = begin
                    results[index].outcome = attempt.outcome
                    results[index].duration = ContinuousClock.now - begin
                    results[index].timings = attempt.timings ?? results[index].timings
                    switch planner.ended(index, Self.ending(attempt), using: &random) {
                    case .done: settle(index, behind: step)
                    case .goesOn: break
                    case .pause(let pause):
                        if let error = attempt.outcome.error { tell(.retrying(group[index], after: pause, error)) }
                        tasks.addTask {
                            await Pause.wait(pause, until: halt)
                            return .woke(index)
                        }
                    }
                    noteStop()
                }
                pump()
            }
            settleBegun()
        }
        for index in results.indices where !planner.hasBegun(index) {
            if let stop { results[index].outcome = .skipped("\(stop)") }
            onResult?(results[index])
        }
        return GroupResults(group, results, stop: stop)
    }

    private func work(_ index: Int, _ step: Int, _ attempt: Int) async -> Event {
        let (entry, clock) = (group.entries[index], clocks[index])
        let connection = connection(entry.host)
        let begin = ContinuousClock.now
        let handle = Locked<Handle?>(nil)
        let outcome: MemberOutcome<Value>
        do {
            let value = try await clock.limit {
                if connection.current != nil {
                    clock.begin()
                } else {
                    tell(.connecting(entry.member, attempt: attempt))
                }
                // Waiting for a turn does not count: that is over with the first phase.
                let context = try await connection.value { _, _ in clock.begin() }
                handle.withLock { $0 = context }
                clock.begin()
                tell(.running(entry.member, step: step + 1, attempt: attempt))
                return try await steps[step](context, entry.member)
            }
            outcome = .ok(value)
        } catch {
            if let handle = handle.value, (error as? MartletError)?.code == .contextLost { connection.lost(handle) }
            outcome = Self.outcome(error, isConnect: handle.value == nil)
        }
        attendance?.ended(index)
        let isConnect = handle.value == nil
        return .ended(
            index, step: step,
            Attempt(outcome: outcome, isConnect: isConnect, begin: begin, timings: handle.value.flatMap(timings)))
    }

    private static func outcome(_ error: any Error, isConnect: Bool) -> MemberOutcome<Value> {
        if error is CancellationError || Task.isCancelled { return .cancelled }
        if error is MemberDeadlineError { return .timedOut(error) }
        if isConnect { return .unreachable(error) }
        if let error = error as? CommandError, case .timedOut = error.result.termination { return .timedOut(error) }
        switch (error as? MartletError)?.code {
        case .deadlineExceeded?: return .timedOut(error)
        case .contextLost?: return .unreachable(error)
        default: return .failed(error)
        }
    }

    private static func ending(_ attempt: Attempt) -> FleetPlanner.Ending {
        switch attempt.outcome {
        case .ok: .succeeded
        case .cancelled, .skipped: .cancelled
        case .failed(let error), .timedOut(let error), .unreachable(let error):
            .failed(
                isConnect: attempt.isConnect,
                canRetry: !(error is MemberDeadlineError) && (!attempt.isConnect || RetryPolicy.mayPass(error)))
        }
    }
}

extension RetryPolicy {
    /// Whether a connect that failed so may succeed a moment later.
    static func mayPass(_ error: any Error) -> Bool {
        guard let error = error as? MartletError else { return true }
        switch error.code {
        case .authenticationFailed, .promptRefused, .hostKeyRejected, .noShell, .noPlace, .wrongPlatform,
            .noInterpreter,
            .imageUnusable, .taskNotRemote, .misuse, .limitExceeded:
            return false
        default: return true
        }
    }
}

extension FleetStrategy {
    func check() throws {
        for batch in batches {
            let isGood =
                switch batch {
                case .count(let count): count > 0
                case .percent(let share): share > 0 && share <= 100
                case .rest: true
                }
            guard isGood else {
                throw MartletError(
                    .misuse, "a batch of \(batch) is none", advice: "write it as 1, .percent(10) or .rest")
            }
        }
        if let limit, limit < 1 { throw MartletError(.misuse, "a limit of \(limit) at once lets nobody begin") }
    }
}
