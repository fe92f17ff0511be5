public import Martlet

extension Group {
    /// Runs a task in every member; see ``Context/call(_:deadline:output:)``.
    ///
    /// - Parameter timeout: for the call in each member; its connect has a deadline of its own. `nil`: as long as its
    ///   context lives.
    /// - Returns: what came of each member, also if the caller is cancelled: then what there is.
    /// - Throws: ``MartletError`` `misuse` for a strategy that is none. What fails in a member is its outcome.
    @discardableResult
    public func call<T: RemoteTask>(
        _ task: T, timeout: Duration? = nil
    ) async throws -> GroupResults<T.Output> where T.Output: Codable {
        try await each { context, _ in try await context.call(task, deadline: timeout) }
    }

    /// Runs a task that returns nothing in every member.
    ///
    /// - Throws: as for tasks with a result.
    @discardableResult
    public func call<T: RemoteTask>(
        _ task: T, timeout: Duration? = nil
    ) async throws -> GroupResults<Void> where T.Output == Void {
        try await each { context, _ in try await context.call(task, deadline: timeout) }
    }

    /// Runs a task in every member that is made for it.
    ///
    /// - Throws: as for one task for all.
    @discardableResult
    public func call<T: RemoteTask>(
        timeout: Duration? = nil, _ task: @escaping @Sendable (GroupMember) -> T
    ) async throws -> GroupResults<T.Output> where T.Output: Codable {
        try await each { context, member in try await context.call(task(member), deadline: timeout) }
    }

    /// Runs a task that returns nothing in every member, made for it.
    ///
    /// - Throws: as for one task for all.
    @discardableResult
    public func call<T: RemoteTask>(
        timeout: Duration? = nil, _ task: @escaping @Sendable (GroupMember) -> T
    ) async throws -> GroupResults<Void> where T.Output == Void {
        try await each { context, member in try await context.call(task(member), deadline: timeout) }
    }

    /// Does something with every member's context, each at its own pace.
    ///
    /// - Parameters:
    ///   - onResult: told what came of each member, as soon as it is known, one at a time. It must not wait.
    ///   - body: it is cancelled when the caller is, or the member's time is up; it should then end soon.
    /// - Returns: what came of each member, also if the caller is cancelled: then what there is.
    /// - Throws: ``MartletError`` `misuse` for a strategy that is none.
    @discardableResult
    public func each<Value: Sendable>(
        onResult: (@Sendable (MemberResult<Value>) -> Void)? = nil,
        _ body: @escaping @Sendable (Context, GroupMember) async throws -> Value
    ) async throws -> GroupResults<Value> {
        try await FleetRun<Context, Value>(self, by: \.native, steps: [body], onResult: onResult).run()
    }

    /// Does several things with every member's context: each member at its own pace, or, if the strategy says so, in step:
    /// nobody begins one before all of the batch have done the one before. Who fails at one does not go on.
    ///
    /// - Throws: as ``each(onResult:_:)``.
    @discardableResult
    public func each(
        steps: [@Sendable (Context, GroupMember) async throws -> Void]
    ) async throws -> GroupResults<Void> {
        guard strategy.order == .inStep else {
            return try await each { (context, member) -> Void in
                for step in steps { try await step(context, member) }
            }
        }
        return try await FleetRun<Context, Void>(self, by: \.native, steps: steps).run()
    }

    /// The members whose context answers a task with true, or, the other way round, with false.
    ///
    /// - Throws: ``GroupError`` with every member that did not answer.
    public func filter<T: RemoteTask>(
        by task: T, excluding: Bool = false, timeout: Duration? = nil
    ) async throws -> Group where T.Output == Bool {
        let answers = try await withoutStrategy.call(task, timeout: timeout).get()
        return Group(zip(entries, answers).compactMap { $1 != excluding ? $0 : nil }, like: self)
    }
}
