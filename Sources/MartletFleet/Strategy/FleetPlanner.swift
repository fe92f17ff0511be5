import DequeModule

/// Says who begins what next. It knows neither contexts nor clocks.
///
/// A member is `waiting` → `running` → `done`, with `running` → `pausing` → `waiting` for each retry, and `running` →
/// `waiting` for each further step. A batch has ended when none of its members is anything but `done`; then it is checked.
struct FleetPlanner: Sendable {
    enum Action: Equatable {
        /// Begin; how it ends is told by ``ended(_:_:using:)``.
        case start(member: Int, step: Int)
        /// A batch begins.
        case batch(Int)
        /// Check a batch; what comes of it is told by ``verified(_:)``.
        case verify(Int)
    }

    enum Ending: Equatable {
        case succeeded
        /// - canRetry: whether a new try makes sense.
        case failed(isConnect: Bool, canRetry: Bool)
        case cancelled
    }

    /// What comes of a failure.
    enum Verdict: Equatable {
        case done
        /// Tell ``woke(_:)`` after that time.
        case pause(Duration)
        /// There are further steps.
        case goesOn
    }

    enum Stop: Equatable {
        case budget
        case verify(Int)
        case cancelled
    }

    private struct Member {
        var step = 0
        var connects = 0
        var runs = 0
        var hasBegun = false
        var isPausing = false
    }

    let batches: [Range<Int>]
    let allowedFailures: Int
    private let limit: Int
    private let steps: Int
    private let retry: RetryPolicy
    private let verifies: Bool
    private var members: [Member]
    private(set) var batch = -1
    private var ready = Deque<Int>()
    private var nextStep: [Int] = []
    private var running = 0
    private var pausing = 0
    private var isVerifying = false
    private var needsVerify = false
    private(set) var failures = 0
    private(set) var stop: Stop?

    init(_ count: Int, _ strategy: FleetStrategy, steps: Int = 1) {
        batches = Self.batches(count, strategy.batches)
        allowedFailures = strategy.failures.limit(of: count)
        limit = max(1, strategy.limit ?? .max)
        retry = strategy.retry
        verifies = strategy.verify != nil
        self.steps = max(1, steps)
        members = Array(repeating: Member(), count: count)
    }

    /// Every member is in one batch, and no batch is empty.
    static func batches(_ count: Int, _ sizes: [BatchSize]) -> [Range<Int>] {
        var batches: [Range<Int>] = []
        var start = 0
        while start < count {
            let size =
                switch sizes.isEmpty ? .rest : sizes[Swift.min(batches.count, sizes.count - 1)] {
                case .count(let size): size
                case .percent(let share): Int((share * Double(count) / 100).rounded(.up))
                case .rest: count
                }
            let end = Swift.min(count, start + Swift.max(1, size))
            batches.append(start..<end)
            start = end
        }
        return batches
    }

    /// Whether nothing is under way and nothing will begin.
    var isFinished: Bool {
        running == 0 && pausing == 0 && !isVerifying && !needsVerify && ready.isEmpty && nextStep.isEmpty
            && (stop != nil || batch >= batches.count - 1)
    }

    /// What to do now; to be asked until there is nothing.
    mutating func next() -> Action? {
        while true {
            if stop != nil {
                // Who waits for another try or another step stays as it is.
                ready.removeAll()
                nextStep.removeAll()
            }
            if running < limit, let member = ready.popFirst() {
                running += 1
                members[member].hasBegun = true
                return .start(member: member, step: members[member].step)
            }
            guard running == 0, pausing == 0, ready.isEmpty, !isVerifying else { return nil }
            if !nextStep.isEmpty {
                ready = Deque(nextStep)
                nextStep = []
                continue
            }
            if needsVerify {
                needsVerify = false
                // Also if too many of it have failed: what the others have done may have to be undone.
                guard stop == nil || stop == .budget else { continue }
                isVerifying = true
                return .verify(batch)
            }
            guard stop == nil, batch + 1 < batches.count else { return nil }
            batch += 1
            ready = Deque(batches[batch])
            needsVerify = verifies
            return .batch(batch)
        }
    }

    mutating func ended(
        _ member: Int, _ ending: Ending, using random: inout some RandomNumberGenerator
    ) -> Verdict {
        running -= 1
        switch ending {
        case .cancelled:
            return .done
        case .succeeded:
            members[member].step += 1
            guard members[member].step < steps, stop == nil else { return .done }
            (members[member].connects, members[member].runs) = (0, 0)
            nextStep.append(member)
            return .goesOn
        case .failed(let isConnect, let canRetry):
            if canRetry, stop == nil, let number = countRetry(member, isConnect) {
                members[member].isPausing = true
                pausing += 1
                return .pause(retry.pause(before: number, using: &random))
            }
            failures += 1
            if failures > allowedFailures, stop == nil { stop = .budget }
            return .done
        }
    }

    private mutating func countRetry(_ member: Int, _ isConnect: Bool) -> Int? {
        if isConnect {
            guard members[member].connects < retry.connects else { return nil }
            members[member].connects += 1
            return members[member].connects
        }
        guard members[member].runs < retry.runs else { return nil }
        members[member].runs += 1
        return members[member].runs
    }

    /// A pause is over. Who has begun goes before who has not.
    mutating func woke(_ member: Int) {
        guard members[member].isPausing else { return }
        members[member].isPausing = false
        pausing -= 1
        // If all has to stop, its last failure stands.
        if stop == nil { ready.prepend(member) } else { failures += 1 }
    }

    mutating func verified(_ isGood: Bool) {
        isVerifying = false
        if !isGood, stop == nil { stop = .verify(batch) }
    }

    /// Nothing more begins. What is under way ends by itself.
    mutating func cancel() { if stop == nil { stop = .cancelled } }

    /// How many steps it has done.
    func step(of member: Int) -> Int { members[member].step }

    /// Whether it was ever begun.
    func hasBegun(_ member: Int) -> Bool { members[member].hasBegun }
}
