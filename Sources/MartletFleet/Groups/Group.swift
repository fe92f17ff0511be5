public import Martlet

/// Hosts, as one: what can be done with one context can be done with all of them at once.
///
///     let web = try martlet.group(["web[01-20]", "db1"])
///     let results = try await web.call(DiskFree(path: "/"))
///     for result in results { print(result.member, result.outcome) }
///     try await results.failed.call(DiskFree(path: "/"))         // those alone, once more
///
/// A member is connected when it is first needed, and anew when it was lost; connects are paced, at most 32 at once and 8
/// to one host. What comes of one disturbs no other: each has an outcome of its own, in the group's order, whether its
/// host is there once or twice.
///
/// Members may be behind gateways (``MemberSpec/gateways``, `via` of an ``Inventory``): each is reached through one of them that
/// lives, and what is copied to many crosses the way to a gateway once.
///
/// A group is a value: those that are made of others share their members' connections, and those of the gateways, which live
/// until ``close(within:)``, or the end of the scope they were made in.
public struct Group: Sendable {
    struct Entry: Sendable {
        let member: GroupMember
        let host: GroupHost
    }

    let entries: [Entry]
    /// In which order, how many at once, and when to stop. Default: all at once, to the last.
    public var strategy = FleetStrategy()
    /// Told what happens to whom, as it happens; see ``FleetEvent/makeStream()``. It must not wait.
    public var onEvent: (@Sendable (FleetEvent) -> Void)?

    init(_ entries: [Entry], like group: Group) {
        self.entries = entries
        (strategy, onEvent) = (group.strategy, group.onEvent)
    }

    /// - Parameter origin: where the ways of those begin that are not contexts already.
    init(_ origin: GroupOrigin?, _ specs: [MemberSpec], _ options: GroupOptions) throws {
        var seen: [String: Int] = [:]
        var given: Set<String> = []
        let members = try specs.map { spec in
            if spec.givenName != nil, !given.insert(spec.name).inserted {
                throw MartletError(
                    .misuse, "two members of a group would be called \(spec.name)",
                    advice: "give each a name of its own, or none: then they are numbered")
            }
            seen[spec.name, default: 0] += 1
            return GroupMember(spec.name, number: seen[spec.name]!)
        }
        var tree = GatewayTree(origin, options)
        let hosts = try tree.hosts(zip(members, specs).map { ($0.name, $1) })
        entries = zip(members, hosts).map { Entry(member: $0, host: $1) }
    }

    /// A group of contexts that are there. They are closed with it.
    public init(_ contexts: [Context]) {
        // Without given names nothing can be wrong.
        self = try! Group(nil, contexts.map { MemberSpec($0) }, GroupOptions())
    }

    /// The same members with another strategy.
    public func with(_ strategy: FleetStrategy) -> Group {
        var group = self
        group.strategy = strategy
        return group
    }

    /// The same members, each at its own pace and to the last.
    var withoutStrategy: Group {
        var group = self
        (group.strategy, group.onEvent) = (FleetStrategy(), nil)
        return group
    }
}

extension Group: RandomAccessCollection {
    /// 0.
    public var startIndex: Int { 0 }
    /// How many members there are.
    public var endIndex: Int { entries.count }
    /// By its place.
    public subscript(position: Int) -> GroupMember { entries[position].member }

    /// By its name: `web1`, `web1#2`.
    public subscript(name: String) -> GroupMember? { entries.first { $0.member.name == name }?.member }

    /// Whether there is a member of that name.
    public func contains(_ name: String) -> Bool { self[name] != nil }

    /// What is known of a member; see ``Inventory``.
    public func variables(of member: GroupMember) -> [String: InventoryValue] {
        entry(member)?.host.spec.variables ?? [:]
    }

    func entry(_ member: GroupMember) -> Entry? { entries.first { $0.member == member } }
}

extension Group: CustomStringConvertible {
    /// `Group(web[01-20])`.
    public var description: String { "Group(\(NodeSet.fold(map(\.name))))" }
}

extension Controller {
    /// A group by specs; in each, brackets stand for many: `web[01-20]/sudo:root`. Nothing is connected yet.
    ///
    /// - Throws: ``SpecError`` for a spec that is none.
    public func group(_ specs: [String], options: GroupOptions = .init()) throws -> Group {
        try group(MemberSpec.list(specs, options))
    }

    /// A group by its members.
    ///
    /// - Throws: ``MartletError`` `misuse` if two were given the same name, or for gateways that cannot be, as one before itself.
    public func group(_ members: [MemberSpec], options: GroupOptions = .init()) throws -> Group {
        try Group(.controller(self), members, options)
    }

    /// Runs `body` with a group, and then closes it.
    ///
    /// - Throws: ``SpecError`` for a spec that is none; what `body` throws.
    public func withGroup<R>(
        _ specs: [String], options: GroupOptions = .init(), _ body: (Group) async throws -> R
    ) async throws -> R {
        try await group(specs, options: options).closing(body)
    }
}

extension Context {
    /// A group by specs of which each begins on this context's machine; otherwise as ``Controller/group(_:options:)``.
    ///
    /// - Throws: ``SpecError`` for a spec that is none.
    public func group(_ specs: [String], options: GroupOptions = .init()) throws -> Group {
        try group(MemberSpec.list(specs, options))
    }

    /// A group by its members, reached from this context's machine.
    ///
    /// - Throws: ``MartletError`` `misuse` if two were given the same name, or for gateways that cannot be, as one before itself.
    public func group(_ members: [MemberSpec], options: GroupOptions = .init()) throws -> Group {
        try Group(.context(self), members, options)
    }
}

extension MemberSpec {
    fileprivate static func list(_ specs: [String], _ options: GroupOptions) throws(SpecError) -> [MemberSpec] {
        var members: [MemberSpec] = []
        for text in specs {
            for spec in try NodePattern.expand(text) { members.append(try MemberSpec(spec, kinds: options.kinds)) }
        }
        return members
    }
}

extension Group: ScopeBound {}
