public import Martlet
import Synchronization

/// Work for each member, one thing after the other, without waiting for any other member.
///
///     try await web.withQueue { queue in
///         queue.put("a.tar", to: "/tmp/a.tar")
///         queue.put("b.tar", to: "/tmp/b.tar")
///         let sums = queue.run("sha256sum /tmp/a.tar /tmp/b.tar") { queue, result in
///             if result.error != nil { queue.run("df /tmp", on: [result.member]) }
///         }
///         print(await sums.results())
///     }
///
/// A member begins the next thing when it has ended the one before, however that ended. Nothing is tried again, and the
/// group's strategy does not matter here.
public final class GroupQueue: Sendable {
    private struct Job: Sendable {
        var run: @Sendable () async -> Void
        /// It will not be run.
        var abandon: @Sendable () -> Void
    }

    private struct State {
        var jobs: [[Job]]
        /// The members at work.
        var busy: [Bool]
        var underWay = 0
        var isClosed = false
        /// Nothing is done any more.
        var isOver = false
    }

    private let group: Group
    private let places: [GroupMember: Int]
    private let state: Mutex<State>
    private let wake: AsyncStream<Int>
    private let waker: AsyncStream<Int>.Continuation

    init(_ group: Group) {
        self.group = group.withoutStrategy
        places = Dictionary(uniqueKeysWithValues: group.enumerated().map { ($1, $0) })
        state = Mutex(
            State(jobs: Array(repeating: [], count: group.count), busy: Array(repeating: false, count: group.count)))
        // One entry for a member that has something to do and is not at work: never more than there are members.
        (wake, waker) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .unbounded)
    }

    /// Does something with the contexts of members, each behind what that member has to do already.
    ///
    /// - Parameters:
    ///   - members: default: all.
    ///   - onResult: told of each member's result, before that member goes on; it may add to the queue.
    /// - Returns: what will come of it. Members that the group does not have are left out.
    @discardableResult
    public func each<Value: Sendable>(
        on members: [GroupMember]? = nil,
        onResult: (@Sendable (GroupQueue, MemberResult<Value>) -> Void)? = nil,
        _ body: @escaping @Sendable (Context, GroupMember) async throws -> Value
    ) -> QueuedResults<Value> {
        let part = members.map { group.selecting($0) } ?? group
        let results = QueuedResults<Value>(part)
        for (index, entry) in part.entries.enumerated() {
            let one = Group([entry], like: part)
            let job = Job { [self] in
                let run = FleetRun<Context, Value>(one, by: \.native, steps: [body])
                // A strategy that is none cannot be wrong.
                guard let result = try? await run.run().first else { return }
                results.set(index, result)
                onResult?(self, result)
            } abandon: {
                results.set(index, MemberResult(entry.member, .skipped("the queue had ended")))
            }
            add(job, for: places[entry.member]!)
        }
        return results
    }

    /// Runs a task; see ``each(on:onResult:_:)`` and ``Group/call(_:timeout:)``.
    @discardableResult
    public func call<T: RemoteTask>(
        _ task: T, timeout: Duration? = nil, on members: [GroupMember]? = nil,
        onResult: (@Sendable (GroupQueue, MemberResult<T.Output>) -> Void)? = nil
    ) -> QueuedResults<T.Output> where T.Output: Codable {
        each(on: members, onResult: onResult) { context, _ in try await context.call(task, deadline: timeout) }
    }

    /// Runs a task that returns nothing.
    @discardableResult
    public func call<T: RemoteTask>(
        _ task: T, timeout: Duration? = nil, on members: [GroupMember]? = nil,
        onResult: (@Sendable (GroupQueue, MemberResult<Void>) -> Void)? = nil
    ) -> QueuedResults<Void> where T.Output == Void {
        each(on: members, onResult: onResult) { context, _ in try await context.call(task, deadline: timeout) }
    }

    /// Runs a line of shell; see ``Group/run(_:options:accepting:onLine:)``.
    @discardableResult
    public func run(
        _ command: String, options: CommandOptions = .init(), accepting: Set<Int32>? = [0],
        on members: [GroupMember]? = nil,
        onResult: (@Sendable (GroupQueue, MemberResult<CommandResult>) -> Void)? = nil
    ) -> QueuedResults<CommandResult> {
        each(on: members, onResult: onResult) { context, _ in
            try await context.run(command, options: options).accepted(accepting)
        }
    }

    /// Copies a file or a folder to members; see ``Group/put(_:to:options:onProgress:)``.
    @discardableResult
    public func put(
        _ local: some PathName, to path: some PathName, options: TransferOptions = .init(),
        on members: [GroupMember]? = nil,
        onResult: (@Sendable (GroupQueue, MemberResult<TransferResult>) -> Void)? = nil
    ) -> QueuedResults<TransferResult> {
        let (source, target) = (MemberTemplate(local), MemberTemplate(path))
        return each(on: members, onResult: onResult) { context, member in
            try await context.put(source.path(for: member), to: target.path(for: member), options: options)
        }
    }

    /// Copies a file or a folder of members to this machine; see ``Group/get(_:to:options:onProgress:)``.
    ///
    /// - Throws: ``MartletError`` `misuse` if two members would write to the same path; then nothing is queued.
    @discardableResult
    public func get(
        _ path: some PathName, to local: some PathName, options: TransferOptions = .init(),
        on members: [GroupMember]? = nil,
        onResult: (@Sendable (GroupQueue, MemberResult<TransferResult>) -> Void)? = nil
    ) throws -> QueuedResults<TransferResult> {
        let (source, target) = (MemberTemplate(path), MemberTemplate(local))
        _ = try target.paths(for: members.map { group.selecting($0) } ?? group)
        return each(on: members, onResult: onResult) { context, member in
            try await context.get(source.path(for: member), to: target.path(for: member), options: options)
        }
    }

    // MARK: The workers

    private func add(_ job: Job, for member: Int) {
        let begins = state.withLock { state -> Bool? in
            guard !state.isOver else { return nil }
            state.jobs[member].append(job)
            state.underWay += 1
            defer { state.busy[member] = true }
            return !state.busy[member]
        }
        guard let begins else { return job.abandon() }
        if begins { waker.yield(member) }
    }

    /// Goes on until ``close()`` was called and there is nothing left to do, or the task is cancelled.
    func work() async {
        await withTaskGroup(of: Void.self) { tasks in
            for await member in wake { tasks.addTask { await self.work(for: member) } }
        }
        let left = state.withLock { state in
            state.isOver = true
            defer { state.jobs = state.jobs.map { _ in [] } }
            return state.jobs.flatMap(\.self)
        }
        for job in left { job.abandon() }
    }

    private func work(for member: Int) async {
        while true {
            let jobs = state.withLock { state in
                defer { state.jobs[member] = [] }
                if state.jobs[member].isEmpty { state.busy[member] = false }
                return state.jobs[member]
            }
            guard !jobs.isEmpty else { return }
            for job in jobs {
                await job.run()
                let isOver = state.withLock { state in
                    state.underWay -= 1
                    return state.isClosed && state.underWay == 0
                }
                if isOver { waker.finish() }
            }
        }
    }

    /// What is queued is done; then ``work()`` ends.
    func close() {
        let isOver = state.withLock { state in
            state.isClosed = true
            return state.underWay == 0
        }
        if isOver { waker.finish() }
    }
}

extension Group {
    /// Runs `body` with a queue of this group's, and waits until all that was queued is done: also what was added while results
    /// came in. If the caller is cancelled, or `body` throws, what is under way is cancelled, and so is the rest.
    ///
    /// - Throws: what `body` throws.
    public func withQueue<R: Sendable>(_ body: @escaping @Sendable (GroupQueue) async throws -> R) async throws -> R {
        let queue = GroupQueue(self)
        return try await withThrowingTaskGroup(of: R?.self) { tasks in
            tasks.addTask {
                await queue.work()
                return nil
            }
            tasks.addTask {
                defer { queue.close() }
                return .some(try await body(queue))
            }
            var result: R?
            do {
                while let value = try await tasks.next() { if let value { result = value } }
            } catch {
                tasks.cancelAll()
                throw error
            }
            return result!
        }
    }
}
