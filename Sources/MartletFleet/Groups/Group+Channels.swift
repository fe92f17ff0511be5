public import Martlet

extension Group {
    /// Runs a task in every member with one end of a channel, and `body` with the other ends as one.
    ///
    ///     let (total, results) = try await web.withChannels(of: String.self) { end, _ in
    ///         TailLog(path: "/var/log/syslog", to: end)
    ///     } _: { channels in
    ///         for try await event in channels.events {
    ///             if case .item(let member, let line) = event { print(member, line) }
    ///         }
    ///     }
    ///
    /// All members are at it at once, whatever the strategy says. One that is not reached is there too: its channel ends with
    /// the error. When `body` ends, all channels are closed, and the tasks are waited for. What a task throws is in the results; for
    /// its channel to end with that too, rather than as one that was dropped, it closes its end with it.
    ///
    /// - Parameters:
    ///   - task: makes a member's task of its end.
    ///   - timeout: for the task in each member.
    /// - Returns: what `body` returns, and what came of each task.
    /// - Throws: what `body` throws: then the tasks are cancelled. Else as ``call(_:timeout:)``.
    public func withChannels<Item: Codable & Sendable, T: RemoteTask, R: Sendable>(
        of: Item.Type, timeout: Duration? = nil,
        task: @escaping @Sendable (Channel<Item>, GroupMember) -> T,
        _ body: (ChannelGroup<GroupMember, Item, Item>) async throws -> R
    ) async throws -> (R, GroupResults<Void>) where T.Output == Void {
        try await withChannels(sending: Item.self, receiving: Item.self, timeout: timeout, task: task, body)
    }

    /// The same with channels whose directions carry different types, as `body` sees them.
    ///
    /// - Throws: as ``withChannels(of:timeout:task:_:)``.
    public func withChannels<Outgoing: Codable & Sendable, Incoming: Codable & Sendable, T: RemoteTask, R: Sendable>(
        sending: Outgoing.Type, receiving: Incoming.Type, timeout: Duration? = nil,
        task: @escaping @Sendable (ChannelEnd<Incoming, Outgoing>, GroupMember) -> T,
        _ body: (ChannelGroup<GroupMember, Outgoing, Incoming>) async throws -> R
    ) async throws -> (R, GroupResults<Void>) where T.Output == Void {
        try await withEnds(
            sending, receiving,
            { context, end, member in
                try await context.call(task(end, member), deadline: timeout)
            }, body)
    }

    /// The same with tasks that return something.
    ///
    /// - Throws: as ``withChannels(of:timeout:task:_:)``.
    public func withChannels<Item: Codable & Sendable, T: RemoteTask, R: Sendable>(
        of: Item.Type, timeout: Duration? = nil,
        task: @escaping @Sendable (Channel<Item>, GroupMember) -> T,
        _ body: (ChannelGroup<GroupMember, Item, Item>) async throws -> R
    ) async throws -> (R, GroupResults<T.Output>) where T.Output: Codable {
        try await withChannels(sending: Item.self, receiving: Item.self, timeout: timeout, task: task, body)
    }

    /// The same with channels whose directions carry different types, and tasks that return something.
    ///
    /// - Throws: as ``withChannels(of:timeout:task:_:)``.
    public func withChannels<Outgoing: Codable & Sendable, Incoming: Codable & Sendable, T: RemoteTask, R: Sendable>(
        sending: Outgoing.Type, receiving: Incoming.Type, timeout: Duration? = nil,
        task: @escaping @Sendable (ChannelEnd<Incoming, Outgoing>, GroupMember) -> T,
        _ body: (ChannelGroup<GroupMember, Outgoing, Incoming>) async throws -> R
    ) async throws -> (R, GroupResults<T.Output>) where T.Output: Codable {
        try await withEnds(
            sending, receiving,
            { context, end, member in
                try await context.call(task(end, member), deadline: timeout)
            }, body)
    }

    private func withEnds<Outgoing, Incoming, Value: Sendable, R: Sendable>(
        _ sending: Outgoing.Type, _ receiving: Incoming.Type,
        _ work: @escaping @Sendable (Context, ChannelEnd<Incoming, Outgoing>, GroupMember) async throws -> Value,
        _ body: (ChannelGroup<GroupMember, Outgoing, Incoming>) async throws -> R
    ) async throws -> (R, GroupResults<Value>) {
        let pairs = entries.map { $0.host.origin.makeChannel(sending: sending, receiving: receiving) }
        let far = Locked(Dictionary(uniqueKeysWithValues: zip(map(\.self), pairs.map { Optional($0.1) })))
        let channels = ChannelGroup(zip(map(\.self), pairs.map(\.0)))
        defer { channels.close() }
        var all = self
        // Nobody's channel waits for another member's end.
        all.strategy = FleetStrategy(memberDeadline: strategy.memberDeadline)
        let run = FleetRun<Context, Value>(
            all, by: \.native,
            steps: [
                { context, member in
                    // The task gets the end once; a further try would find it closed.
                    guard let end = far.withLock({ $0.updateValue(nil, forKey: member) }) ?? nil else {
                        throw MartletError(.channelClosed, "the member's channel went with its first try")
                    }
                    return try await work(context, end, member)
                }
            ],
            onResult: { result in
                guard let error = result.error else { return }
                // Who was not reached ends its channel too.
                (far.withLock { $0.updateValue(nil, forKey: result.member) } ?? nil)?.close(throwing: error)
            })
        async let results = run.run()
        let value = try await body(channels)
        channels.close()
        return (value, try await results)
    }
}
