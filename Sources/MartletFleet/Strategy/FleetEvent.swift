/// What happens while something goes through a group.
public enum FleetEvent: Sendable {
    /// A batch begins, counted from 1.
    case batch(Int, of: Int, [GroupMember])
    /// A member that is not connected is being connected.
    case connecting(GroupMember, attempt: Int)
    /// A member is at work, at this step, counted from 1.
    case running(GroupMember, step: Int, attempt: Int)
    /// A member has failed, and will be tried again.
    case retrying(GroupMember, after: Duration, any Error)
    /// A member has ended; told once for each that was begun.
    case ended(GroupMember, OutcomeKind, Duration)
    /// The check behind a batch begins.
    case verifying(batch: Int)
    /// Nothing more is begun.
    case stopped(FleetStop)
    /// All is over.
    case finished

    /// Events to loop over: the sequence, and what is given to ``Group/onEvent``.
    ///
    ///     var web = web
    ///     let (events, report) = FleetEvent.makeStream()
    ///     web.onEvent = report
    ///     async let results = web.run("uptime")
    ///     for await event in events { progress.note(event) }
    ///
    /// The sequence ends when what it is first used for does. Who reads slowly misses nothing: there are a few events for
    /// each try of a member, and those are kept.
    public static func makeStream() -> (events: AsyncStream<FleetEvent>, report: @Sendable (FleetEvent) -> Void) {
        let (stream, continuation) = AsyncStream.makeStream(of: Self.self, bufferingPolicy: .unbounded)
        return (
            stream,
            { event in
                continuation.yield(event)
                if case .finished = event { continuation.finish() }
            }
        )
    }
}

/// Who is where: what a live view shows, made of events.
public struct FleetProgress: Sendable {
    /// Where a member is.
    public enum Place: Sendable, Hashable {
        case waiting
        case connecting
        case running
        case retrying
        case ended(OutcomeKind)
    }

    /// Where each member is, in the group's order.
    public private(set) var places: [(member: GroupMember, place: Place)]
    private var indices: [GroupMember: Int] = [:]

    /// Everybody waits.
    ///
    /// - Parameter members: a group, or some of one.
    public init(_ members: some Sequence<GroupMember>) {
        places = members.map { ($0, .waiting) }
        for (index, place) in places.enumerated() { indices[place.member] = index }
    }

    /// Takes an event in.
    public mutating func note(_ event: FleetEvent) {
        switch event {
        case .connecting(let member, _): set(member, .connecting)
        case .running(let member, _, _): set(member, .running)
        case .retrying(let member, _, _): set(member, .retrying)
        case .ended(let member, let kind, _): set(member, .ended(kind))
        case .batch, .verifying, .stopped, .finished: break
        }
    }

    private mutating func set(_ member: GroupMember, _ place: Place) {
        if let index = indices[member] { places[index].place = place }
    }

    /// How many have ended.
    public var endedCount: Int { places.count { if case .ended = $0.place { true } else { false } } }
    /// How many are at a place.
    public func count(_ place: Place) -> Int { places.count { $0.place == place } }
    /// Who is at a place, folded: `web[03-05]`.
    public func nodes(_ place: Place) -> String {
        NodeSet.fold(places.filter { $0.place == place }.map(\.member.name))
    }
}
