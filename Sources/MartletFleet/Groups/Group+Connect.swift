public import Martlet

extension Group {
    /// Connects all members that are not.
    ///
    /// - Returns: what came of each.
    @discardableResult
    public func connect() async throws -> GroupResults<Context> {
        try await each { context, _ in context }
    }

    /// Closes all members, and connects them.
    @discardableResult
    public func reconnect() async throws -> GroupResults<Context> {
        await close()
        return try await connect()
    }

    /// A member's context, which is connected if it is not.
    ///
    /// - Throws: ``MartletError`` that says why it cannot be, `misuse` if there is no such member; `CancellationError`.
    public func context(of member: GroupMember) async throws -> Context {
        guard let entry = entry(member) else {
            throw MartletError(.misuse, "\(member) is no member of \(self)")
        }
        return try await entry.host.native.value()
    }

    /// The members that are connected now.
    public var connected: Group {
        Group(entries.filter { $0.host.native.current != nil }, like: self)
    }

    /// Ends the contexts of all members, at once: also those that were given. Those that do not end in time are made to.
    /// Gateways end with the last member behind them. A member that is used once more is connected anew.
    ///
    /// - Parameter limit: for each. Default: 5 s.
    public func close(within limit: Duration = .seconds(5)) async {
        await withTaskGroup(of: Void.self) { group in
            for entry in entries { group.addTask { await entry.host.close(within: limit) } }
        }
        let sets = Dictionary(entries.compactMap(\.host.gateways).map { (ObjectIdentifier($0.set), $0.set) }) { $1 }
        await withTaskGroup(of: Void.self) { group in
            for set in sets.values { group.addTask { await set.closeUnused(within: limit) } }
        }
    }
}
