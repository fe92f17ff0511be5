public import Martlet

/// What came of one member, and how.
public struct MemberResult<Value: Sendable>: Sendable {
    /// Whose it is.
    public let member: GroupMember
    /// What came of it.
    public internal(set) var outcome: MemberOutcome<Value>
    /// How often it was tried; 0 if it was not begun.
    public internal(set) var attempts = 0
    /// From the first try's begin to the last one's end.
    public internal(set) var duration = Duration.zero
    /// How long the phases of its connect took; `nil` if it was not connected.
    public internal(set) var timings: ConnectTimings?

    init(_ member: GroupMember, _ outcome: MemberOutcome<Value>) { (self.member, self.outcome) = (member, outcome) }

    /// The value, if it succeeded.
    public var value: Value? { outcome.value }
    /// Why it did not succeed; `nil` if it did.
    public var error: (any Error)? { outcome.error }

    func map<R>(_ body: (Value) -> R) -> MemberResult<R> { mapOutcome { $0.map(body) } }

    func mapOutcome<R>(_ body: (MemberOutcome<Value>) -> MemberOutcome<R>) -> MemberResult<R> {
        var result = MemberResult<R>(member, body(outcome))
        (result.attempts, result.duration, result.timings) = (attempts, duration, timings)
        return result
    }
}

/// What came of each member of a group, in the group's order: as many as it has members, however they ended.
public struct GroupResults<Value: Sendable>: Sendable {
    /// Whose results these are.
    public let group: Group
    let elements: [MemberResult<Value>]
    /// Why not all members were begun; `nil` if they were.
    public let stop: FleetStop?

    init(_ group: Group, _ elements: [MemberResult<Value>], stop: FleetStop? = nil) {
        (self.group, self.elements, self.stop) = (group, elements, stop)
    }

    /// Of that member.
    public subscript(member: GroupMember) -> MemberResult<Value>? { elements.first { $0.member == member } }
    /// Of the member of that name: `web1`, `web1#2`.
    public subscript(name: String) -> MemberResult<Value>? { elements.first { $0.member.name == name } }

    /// What succeeded.
    public var successes: [(member: GroupMember, value: Value)] {
        elements.compactMap { element in element.value.map { (element.member, $0) } }
    }

    /// What did not, with the reason: also what was cancelled or skipped.
    public var failures: [(member: GroupMember, error: any Error)] {
        elements.compactMap { element in element.error.map { (element.member, $0) } }
    }

    /// How many ended in which way.
    public var counts: [OutcomeKind: Int] {
        elements.reduce(into: [:]) { $0[$1.outcome.kind, default: 0] += 1 }
    }

    /// Whether all did.
    public var allSucceeded: Bool { elements.allSatisfy { $0.outcome.kind == .ok } }

    /// The members that ended in one of these ways, as a group.
    public func members(_ kinds: OutcomeKind...) -> Group {
        group.selecting(elements.filter { kinds.contains($0.outcome.kind) }.map(\.member))
    }

    /// The members that succeeded, as a group.
    public var succeeded: Group { members(.ok) }
    /// All others, as a group: to try once more.
    public var failed: Group { members(.failed, .timedOut, .unreachable, .cancelled, .skipped) }
    /// Those that could not be connected or were lost, as a group.
    public var unreached: Group { members(.unreachable) }

    /// The values, in the group's order.
    ///
    /// - Throws: ``GroupError`` with all that failed, if any did.
    @discardableResult
    public func get() throws(GroupError) -> [Value] {
        let failures = failures
        guard failures.isEmpty else { throw GroupError(failures, of: elements.count, stop: stop) }
        return elements.map { $0.value! }
    }

    /// The same with other values.
    public func mapValues<R: Sendable>(_ body: (Value) -> R) -> GroupResults<R> {
        GroupResults<R>(group, elements.map { $0.map(body) }, stop: stop)
    }

    /// The members that succeeded, by equal content, the largest group first.
    public func grouped<Content: Hashable & Sendable>(by content: (Value) -> Content) -> OutputGroups<Content> {
        OutputGroups(successes.map { ($0.member.name, content($0.value)) })
    }
}

extension GroupResults: RandomAccessCollection {
    /// 0.
    public var startIndex: Int { 0 }
    /// How many members the group has.
    public var endIndex: Int { elements.count }
    /// By the member's place.
    public subscript(position: Int) -> MemberResult<Value> { elements[position] }
}

extension GroupResults: CustomStringConvertible {
    /// `18 ok, 2 unreachable`.
    public var description: String {
        let counts = counts
        let parts = OutcomeKind.allCases.compactMap { kind in counts[kind].map { "\($0) \(kind)" } }
        return parts.isEmpty ? "no members" : parts.joined(separator: ", ")
    }
}
