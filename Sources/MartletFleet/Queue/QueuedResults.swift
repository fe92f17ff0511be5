import Synchronization

/// What a queue will have of each member, when all have done it.
public final class QueuedResults<Value: Sendable>: Sendable {
    private let group: Group
    private let state: Mutex<(results: [MemberResult<Value>?], missing: Int)>
    private let gate = Gate()

    init(_ group: Group) {
        self.group = group
        state = Mutex((Array(repeating: nil, count: group.count), group.count))
        if group.isEmpty { gate.open() }
    }

    /// What has come so far, by member.
    public var soFar: [MemberResult<Value>] { state.withLock { $0.results.compactMap(\.self) } }
    /// Whether all have done it.
    public var isDone: Bool { gate.isOpen }

    func set(_ index: Int, _ result: MemberResult<Value>) {
        let isDone = state.withLock { state in
            if state.results[index] == nil { state.missing -= 1 }
            state.results[index] = result
            return state.missing == 0
        }
        if isDone { gate.open() }
    }

    /// Waits until every member has done it.
    ///
    /// - Returns: in the group's order. If the caller is cancelled: with members that are still at it as `cancelled`.
    public func results() async -> GroupResults<Value> {
        await gate.wait()
        let results = state.withLock { $0.results }
        return GroupResults(
            group, zip(group, results).map { member, result in result ?? MemberResult(member, .cancelled) })
    }
}
