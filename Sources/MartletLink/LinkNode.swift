package import MartletWire

/// One context's part in the tree, without any I/O: routing, source checks, authority, the streams that end here and
/// those that pass through.
///
/// A caller feeds it the header of each frame that comes from a neighbour and does what the verdict says.
package struct LinkNode: Sendable {
    package enum Verdict: Sendable {
        /// A stream that may be opened: call ``StreamTable/accept(_:owner:ended:)``, or answer with a reset.
        case opened(StreamKey, StreamKind)
        /// A message, or a part of one, for a stream that ends here.
        case message(any StreamOwner)
        case credit(any StreamOwner)
        case reset(any StreamOwner)
        /// Pass the frame on.
        case forward(Neighbour)
        /// Tell the frame's source that its stream is over; the owner here, if any, as well.
        case refuse(StreamKey, ResetReason, (any StreamOwner)?)
        /// Nobody is to be told.
        case drop
        /// The neighbour itself lies: its link is of no more use.
        case violation(String)
    }

    package private(set) var router: Router
    package var streams: StreamTable
    private var relays: RelayTable
    private let maximumRelayedBacklog: Int
    package let maximumRelayedData: Int

    package init(address: ContextAddress, hasParent: Bool, limits: StreamLimits = .init()) {
        router = Router(address: address, hasParent: hasParent)
        streams = StreamTable(address: address, limits: limits)
        maximumRelayedBacklog = limits.maximumRelayedBacklog
        maximumRelayedData = limits.maximumRelayedData
        relays = RelayTable(limit: limits.maximumRelayedStreams, limitPerChild: limits.maximumRelayedStreamsPerChild)
    }

    package var address: ContextAddress { router.address }
    package var relayedStreams: Int { relays.count }

    package mutating func addChild() -> (number: UInt32, address: ContextAddress)? { router.addChild() }

    /// Takes in a frame.
    ///
    /// - Parameters:
    ///   - kind: the first byte of an `open` frame's payload.
    ///   - credit: the count in a `credit` frame's payload.
    package mutating func receive(
        _ header: FrameHeader,
        from neighbour: Neighbour,
        kind: StreamKind?,
        credit: Int = 0
    ) -> Verdict {
        guard !header.kind.isLinkLocal else { return .violation("\(header.kind) outside its place") }
        guard router.admits(source: header.source, from: neighbour) else {
            return .violation("a frame that claims to come from \(header.source)")
        }
        // A relay refuses as well as the acceptor: what may not be opened takes nobody's room. A kind that only the
        // acceptor knows is the acceptor's to judge.
        if header.kind == .open, let kind,
            let refusal = StreamAuthority.refusal(of: kind, from: header.source, to: header.destination)
        {
            return .refuse(header.streamKey, ResetReason(.refused, refusal), nil)
        }
        switch router.route(to: header.destination) {
        case .here:
            return receiveHere(header, kind, credit)
        case .neighbour(let next) where next != neighbour:
            switch relays.pass(header, from: neighbour, to: next, credit: credit) {
            case .forward: return .forward(next)
            case .drop: return .drop
            case .refuse(let reason): return .refuse(header.streamKey, reason, nil)
            case .violation(let what): return .violation(what)
            }
        case .neighbour, .none:
            guard header.kind == .open else { return .drop }
            return .refuse(header.streamKey, ResetReason(.noRoute, "no context at \(header.destination)"), nil)
        }
    }

    /// What to do with a frame that is to be forwarded to a link on which `waiting` bytes wait already that the frame's
    /// neighbour has sent: of `data` if it is one, else beside all credit.
    package enum Relaying: Sendable {
        /// Send it on.
        case whole
        /// Send it on without its payload's message: its code alone.
        case codeOnly
        /// Send these resets instead.
        case resets(onward: FrameHeader?, back: FrameHeader)
    }

    /// Bounds what a neighbour can make us keep for a link that is slower than it is, by ending the streams that go beyond
    /// the bound. Credit bounds the `data` of one stream, but a child may open very many; frames of other kinds need no
    /// credit at all.
    ///
    /// We do not stop reading from the neighbour instead. What it sends to others would wait as well: one child that
    /// takes nothing would hold up all that a parent sends through here, heartbeats' answers too. And who always reads
    /// can take part in no ring of contexts that wait for each other.
    package mutating func relay(_ header: FrameHeader, waiting: Int) -> Relaying {
        switch header.kind {
        case .open, .end:
            return giveUp(header, ifAbove: maximumRelayedBacklog, waiting)
        case .data:
            return giveUp(header, ifAbove: maximumRelayedData, waiting)
        // Each ends a stream that was within the bound.
        case .reset: return waiting > maximumRelayedBacklog ? .codeOnly : .whole
        default: return .whole
        }
    }

    private mutating func giveUp(_ header: FrameHeader, ifAbove limit: Int, _ waiting: Int) -> Relaying {
        guard waiting + header.byteCount + header.payloadCount > limit else { return .whole }
        let resets = relays.giveUp(header)
        return .resets(onward: resets.onward, back: resets.back)
    }

    private mutating func receiveHere(_ header: FrameHeader, _ kind: StreamKind?, _ credit: Int) -> Verdict {
        switch streams.receive(header, credit: credit) {
        case .message(let owner): return .message(owner)
        case .credit(let owner): return .credit(owner)
        case .reset(let owner): return .reset(owner)
        case .stale: return .drop
        case .violation(let owner, let reason): return .refuse(header.streamKey, reason, owner)
        case .opened(let key):
            guard let kind else {
                return .refuse(key, ResetReason(.protocolViolation, "a stream of an unknown kind"), nil)
            }
            return .opened(key, kind)
        }
    }

    /// Where a frame that this context itself sends goes.
    ///
    /// - Returns: the link to send it on; `nil` if none leads there, or if it would come back here.
    package func route(to destination: ContextAddress) -> Neighbour? {
        guard case .neighbour(let neighbour) = router.route(to: destination) else { return nil }
        return neighbour
    }

    /// A link is gone.
    ///
    /// - Returns: the owners of streams that ended here and were lost, and the resets to send for those that passed
    ///   through.
    package mutating func lose(
        _ neighbour: Neighbour
    ) -> (owners: [any StreamOwner], resets: [(reset: FrameHeader, to: Neighbour)]) {
        router.remove(neighbour)
        let address = address
        let lost = streams.removeAll { peer in
            switch neighbour {
            case .parent: !address.contains(peer)
            case .child(let number): address.childNumber(towards: peer) == number
            }
        }
        return (lost.map(\.owner), relays.lose(neighbour))
    }
}
