/// What came of one member.
public enum MemberOutcome<Value: Sendable>: Sendable {
    /// It did what it was to do.
    case ok(Value)
    /// It was tried there, and failed.
    case failed(any Error)
    /// It took longer than it may.
    case timedOut(any Error)
    /// The member could not be connected, or was lost on the way.
    case unreachable(any Error)
    /// It was under way when the caller was cancelled.
    case cancelled
    /// It was not begun; the text says why.
    case skipped(String)

    /// Which of these it is, without what came with it.
    public var kind: OutcomeKind {
        switch self {
        case .ok: .ok
        case .failed: .failed
        case .timedOut: .timedOut
        case .unreachable: .unreachable
        case .cancelled: .cancelled
        case .skipped: .skipped
        }
    }

    /// The value, if it succeeded.
    public var value: Value? { if case .ok(let value) = self { value } else { nil } }

    /// Why it did not succeed; `nil` if it did.
    public var error: (any Error)? {
        switch self {
        case .ok: nil
        case .failed(let error), .timedOut(let error), .unreachable(let error): error
        case .cancelled: CancellationError()
        case .skipped(let reason): SkippedError(reason: reason)
        }
    }

    /// The value.
    ///
    /// - Throws: why there is none.
    public func get() throws -> Value {
        if case .ok(let value) = self { return value }
        throw error!
    }

    func map<R>(_ body: (Value) -> R) -> MemberOutcome<R> {
        if case .ok(let value) = self { .ok(body(value)) } else { withoutValue()! }
    }

    /// The same of another type; `nil` if there is a value.
    func withoutValue<R>() -> MemberOutcome<R>? {
        switch self {
        case .ok: nil
        case .failed(let error): .failed(error)
        case .timedOut(let error): .timedOut(error)
        case .unreachable(let error): .unreachable(error)
        case .cancelled: .cancelled
        case .skipped(let reason): .skipped(reason)
        }
    }
}

extension MemberOutcome: CustomStringConvertible {
    /// `ok(3)`, or its kind and why.
    public var description: String {
        switch self {
        case .ok(let value): Value.self == Void.self ? "ok" : "ok(\(value))"
        case .cancelled: "cancelled"
        case .skipped(let reason): "skipped: \(reason)"
        case .failed(let error), .timedOut(let error), .unreachable(let error): "\(kind): \(error)"
        }
    }
}

/// The ways in which something can end in a member.
public enum OutcomeKind: String, Sendable, Hashable, Codable, CaseIterable, CustomStringConvertible {
    case ok
    case failed
    case timedOut
    case unreachable
    case cancelled
    case skipped

    /// As people say it.
    public var description: String { self == .timedOut ? "timed out" : rawValue }
}

/// It was not begun.
public struct SkippedError: Error, Hashable, CustomStringConvertible {
    /// Why not.
    public let reason: String
    /// Why not.
    public var description: String { "not begun: \(reason)" }
}

/// A member's time was up, with all its tries and pauses.
public struct MemberDeadlineError: Error, Hashable, CustomStringConvertible {
    /// What it had.
    public let limit: Duration
    /// How long it had.
    public var description: String { "took longer than the \(limit) that each member has" }
}
