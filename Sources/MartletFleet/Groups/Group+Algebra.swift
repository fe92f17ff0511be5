extension Group {
    /// The members of both, this group's first. Strategy and connections are this group's where both have some.
    public func union(_ other: Group) -> Group {
        let own = Set(self)
        return Group(entries + other.entries.filter { !own.contains($0.member) }, like: self)
    }

    /// The members that the other group has too.
    public func intersection(_ other: Group) -> Group {
        let others = Set(other)
        return filter { others.contains($0) }
    }

    /// The members that the other group does not have.
    public func subtracting(_ other: Group) -> Group {
        let others = Set(other)
        return filter { !others.contains($0) }
    }

    /// The members that one of the groups has, and not both.
    public func symmetricDifference(_ other: Group) -> Group {
        subtracting(other).union(other.subtracting(self))
    }

    /// The members for which the predicate holds.
    public func filter(_ isIncluded: (GroupMember) throws -> Bool) rethrows -> Group {
        Group(try entries.filter { try isIncluded($0.member) }, like: self)
    }

    /// These members, in the group's order.
    public func selecting(_ members: some Sequence<GroupMember>) -> Group {
        let wanted = Set(members)
        return filter { wanted.contains($0) }
    }

    /// See ``union(_:)``.
    public static func + (first: Group, second: Group) -> Group { first.union(second) }
    /// See ``union(_:)``.
    public static func | (first: Group, second: Group) -> Group { first.union(second) }
    /// See ``intersection(_:)``.
    public static func & (first: Group, second: Group) -> Group { first.intersection(second) }
    /// See ``subtracting(_:)``.
    public static func - (first: Group, second: Group) -> Group { first.subtracting(second) }
    /// See ``symmetricDifference(_:)``.
    public static func ^ (first: Group, second: Group) -> Group { first.symmetricDifference(second) }
}
