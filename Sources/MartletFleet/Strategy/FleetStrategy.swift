/// How something goes through a group: in which batches, how many at once, when it stops, what is tried again.
///
///     var rolling = FleetStrategy(batches: [1, .percent(10), .rest], failures: .count(2))
///     rolling.verify = { batch in try await batch.group.call(HealthCheck()).get() }
///     let results = try await web.with(rolling).run("systemctl restart app")
///
/// What is not begun any more, because too much has failed, is `skipped`; what is under way is not disturbed.
public struct FleetStrategy: Sendable {
    /// Whether members wait for each other.
    public enum Order: String, Sendable, Hashable, Codable {
        /// Each goes on as it can.
        case free
        /// Of several steps nobody begins one before all of its batch have done the one before.
        case inStep
    }

    /// How many members each batch has; the last size goes for all batches that follow. Empty: all are one batch.
    public var batches: [BatchSize] = []
    /// How many are worked on at once in a batch. `nil`: all of them; connects are paced in any case.
    public var limit: Int?
    /// Whether members wait for each other between steps. Default: they do not.
    public var order = Order.free
    /// How many members may fail. Default: any number.
    public var failures = FailureBudget.unlimited
    /// What is tried again. Default: nothing.
    public var retry = RetryPolicy()
    /// How long each member has, for its connect, all tries and the pauses between; not for waiting for its turn.
    public var memberDeadline: Duration?
    /// Runs when a batch has ended, before the next begins, and behind the last. If it throws, nothing more is begun. It also
    /// runs when too many members have failed, with ``FleetBatch/stop``, so that it can undo what the others of the batch did;
    /// not when the caller is cancelled.
    public var verify: (@Sendable (FleetBatch) async throws -> Void)?
    /// Closes a member's context when the member has ended; nobody waits for that. Default: contexts stay.
    public var closesMembers = false

    /// All at once, to the last.
    public init(
        batches: [BatchSize] = [], limit: Int? = nil, failures: FailureBudget = .unlimited,
        retry: RetryPolicy = .init(),
        memberDeadline: Duration? = nil
    ) {
        (self.batches, self.limit, self.failures, self.retry) = (batches, limit, failures, retry)
        self.memberDeadline = memberDeadline
    }

    /// One after the other, each a batch of its own; the first failure ends it.
    public static var serial: FleetStrategy { FleetStrategy(batches: [1], failures: .count(0)) }
}

/// How many members a batch has.
public enum BatchSize: Sendable, Hashable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    /// So many.
    case count(Int)
    /// So many of a hundred of the group's, rounded up.
    case percent(Double)
    /// All that are left.
    case rest

    /// A number of members.
    public init(integerLiteral value: Int) { self = .count(value) }

    /// `5`, `10%`, `rest`; `nil` for anything else.
    public init?(_ text: String) {
        if text == "rest" {
            self = .rest
        } else if text.hasSuffix("%"), let share = Double(text.dropLast()), share > 0, share <= 100 {
            self = .percent(share)
        } else if let count = Int(text), count > 0 {
            self = .count(count)
        } else {
            return nil
        }
    }

    /// `5`, `10.0%`, `rest`.
    public var description: String {
        switch self {
        case .count(let count): "\(count)"
        case .percent(let share): "\(share)%"
        case .rest: "rest"
        }
    }
}

/// How many members may fail before nothing more is begun.
public enum FailureBudget: Sendable, Hashable {
    /// Any number.
    case unlimited
    /// So many; one more ends it.
    case count(Int)
    /// This share of the group's, between 0 and 1; more ends it.
    case share(Double)

    /// `2`, `5%`; `nil` for anything else.
    public init?(_ text: String) {
        if text.hasSuffix("%"), let share = Double(text.dropLast()), share >= 0, share <= 100 {
            self = .share(share / 100)
        } else if let count = Int(text), count >= 0 {
            self = .count(count)
        } else {
            return nil
        }
    }

    func limit(of count: Int) -> Int {
        switch self {
        case .unlimited: .max
        case .count(let count): max(0, count)
        case .share(let share): Int((max(0, min(1, share)) * Double(count)).rounded(.down))
        }
    }
}

/// What is tried again, and when.
public struct RetryPolicy: Sendable, Hashable {
    /// How often a connect is tried again that failed for a reason that may pass. Default: 0.
    public var connects = 0
    /// How often the work is tried again, whatever it has done before it failed. Default: 0.
    public var runs = 0
    /// The pause before the first new try. Default: 1 s.
    public var pause = Duration.seconds(1)
    /// By how much each further pause is longer. Default: 2.
    public var factor = 2.0
    /// No pause is longer. Default: 30 s.
    public var longestPause = Duration.seconds(30)
    /// Which share of a pause chance takes away, so that not all come back at once. Default: 0.5.
    public var jitter = 0.5

    /// Nothing, unless it is said.
    public init(connects: Int = 0, runs: Int = 0) { (self.connects, self.runs) = (connects, runs) }

    /// - Parameter number: of the retry, from 1 on.
    func pause(before number: Int, using random: inout some RandomNumberGenerator) -> Duration {
        var pause = pause
        for _ in 1..<max(1, min(number, 64)) where pause < longestPause { pause = pause * factor }
        pause = min(pause, longestPause)
        let taken = max(0, min(1, jitter))
        return pause * (taken == 0 ? 1 : Double.random(in: (1 - taken)...1, using: &random))
    }
}

/// A batch that has ended.
public struct FleetBatch: Sendable {
    /// From 1 on.
    public let number: Int
    /// How many there are.
    public let count: Int
    /// Its members, without the strategy.
    public let group: Group
    /// What came of them.
    public let outcomes: [OutcomeKind]
    /// Why no other follows, whatever the check says: too many have failed. `nil` if it depends on the check.
    public let stop: FleetStop?

    /// Those of its members that succeeded.
    public var succeeded: Group {
        group.selecting(zip(group, outcomes).filter { $0.1 == .ok }.map(\.0))
    }
    /// Whether no other follows.
    public var isLast: Bool { number == count }
}

/// Why nothing more was begun.
public enum FleetStop: Error, CustomStringConvertible {
    /// So many have failed, where so many were allowed.
    case budget(failed: Int, allowed: Int)
    /// The check behind this batch, counted from 1, has failed.
    case verify(batch: Int, any Error)
    /// The caller was cancelled.
    case cancelled

    /// In a few words.
    public var description: String {
        switch self {
        case .budget(let failed, let allowed): "stopped when \(failed) had failed, where \(allowed) may"
        case .verify(let batch, let error): "the check behind batch \(batch) failed: \(error)"
        case .cancelled: "stopped when it was cancelled"
        }
    }
}
