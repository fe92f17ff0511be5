package import MartletWire

/// The streams that cross this context from one link to another, so that both ends can be told when a link dies.
///
/// A relay also keeps each sender's credit, because the queue towards a slow link is here: what goes beyond it comes
/// from no honest neighbour, since that one would not have passed it on.
package struct RelayTable: Sendable {
    /// What one end may still send through here.
    private struct Side {
        var isOver = false
        var credit = StreamState.initialWindow
    }

    private struct Entry {
        var towardsOpener: Neighbour
        var towardsAcceptor: Neighbour
        var opener: Side
        var acceptor = Side()

        subscript(isOpener isOpener: Bool) -> Side {
            get { isOpener ? opener : acceptor }
            set { if isOpener { opener = newValue } else { acceptor = newValue } }
        }
    }

    private var entries: [StreamKey: Entry] = [:]
    /// Streams by the neighbour from which their opener is reached.
    private var opened: [Neighbour: Int] = [:]
    private let limit: Int
    private let limitPerChild: Int

    package init(
        limit: Int = StreamLimits().maximumRelayedStreams,
        limitPerChild: Int = StreamLimits().maximumRelayedStreamsPerChild
    ) {
        self.limit = limit
        self.limitPerChild = limitPerChild
    }

    package var count: Int { entries.count }

    package enum Verdict: Equatable, Sendable {
        case forward
        /// A frame of a stream that did not begin here or is over.
        case drop
        case refuse(ResetReason)
        /// The neighbour passes on what it must not: its link is of no more use.
        case violation(String)
    }

    /// Notes a frame on its way from one link to another.
    ///
    /// - Parameter credit: the count in a `credit` frame's payload.
    package mutating func pass(
        _ header: FrameHeader,
        from: Neighbour,
        to: Neighbour,
        credit: Int = 0
    ) -> Verdict {
        let key = header.streamKey
        guard header.kind != .open else { return open(key, header, from: from, to: to) }
        guard let index = entries.index(forKey: key) else { return .drop }
        let fromOpener = header.flags.contains(.fromOpener)
        var entry = entries.values[index]
        guard (fromOpener ? entry.towardsOpener : entry.towardsAcceptor) == from else { return .drop }
        switch header.kind {
        case .data:
            entry[isOpener: fromOpener].credit -= StreamState.cost(ofPayload: header.payloadCount)
            guard !entry[isOpener: fromOpener].isOver, entry[isOpener: fromOpener].credit >= 0 else {
                return .violation("data beyond what stream \(key.number) may carry")
            }
        case .end:
            guard !entry[isOpener: fromOpener].isOver else { return .violation("a second end of stream \(key.number)") }
            entry[isOpener: fromOpener].isOver = true
            if entry[isOpener: !fromOpener].isOver {
                remove(at: index)
                return .forward
            }
        case .credit:
            guard StreamState.isLegal(credit: credit, upon: entry[isOpener: !fromOpener].credit) else {
                return .violation("credit of \(credit) bytes on stream \(key.number)")
            }
            entry[isOpener: !fromOpener].credit += credit
        case .reset:
            remove(at: index)
            return .forward
        case .open, .hello, .welcome, .ping, .pong, .goodbye:
            return .drop
        }
        entries.values[index] = entry
        return .forward
    }

    /// Gives up a stream that ``pass(_:from:to:credit:)`` let pass: the frame with this header cannot be kept.
    ///
    /// - Returns: the resets to send instead: on towards the frame's destination, as if by its source, unless that knows
    ///   nothing of the stream; and back to the source, as if by its destination.
    package mutating func giveUp(_ header: FrameHeader) -> (onward: FrameHeader?, back: FrameHeader) {
        if let index = entries.index(forKey: header.streamKey) { remove(at: index) }
        let flags = header.flags.intersection(.fromOpener)
        let onward = FrameHeader(
            .reset, flags: flags, stream: header.stream, to: header.destination, from: header.source)
        let back = FrameHeader(
            .reset,
            flags: flags.symmetricDifference(.fromOpener),
            stream: header.stream,
            to: header.source,
            from: header.destination
        )
        return (header.kind == .open ? nil : onward, back)
    }

    private mutating func open(_ key: StreamKey, _ header: FrameHeader, from: Neighbour, to: Neighbour) -> Verdict {
        guard header.flags.contains(.fromOpener), entries[key] == nil else {
            return .violation("stream \(key.number) is open already")
        }
        let isFromAbove = from == .parent
        let fromAbove = opened[.parent] ?? 0
        guard (isFromAbove ? fromAbove : entries.count - fromAbove) < limit,
            isFromAbove || opened[from] ?? 0 < limitPerChild
        else { return .refuse(ResetReason(.limitExceeded, "a relay carries too many streams")) }
        let opener = Side(isOver: header.flags.contains(.last))
        entries[key] = Entry(towardsOpener: from, towardsAcceptor: to, opener: opener)
        opened[from, default: 0] += 1
        return .forward
    }

    /// A link is gone: what crossed it is over.
    ///
    /// - Returns: the resets to send, each as if by the end that is lost.
    package mutating func lose(_ neighbour: Neighbour) -> [(reset: FrameHeader, to: Neighbour)] {
        var resets: [(reset: FrameHeader, to: Neighbour)] = []
        let lost = entries.filter { $0.value.towardsOpener == neighbour || $0.value.towardsAcceptor == neighbour }
        for (key, entry) in lost {
            remove(at: entries.index(forKey: key)!)
            if entry.towardsOpener == neighbour {
                let reset = FrameHeader(
                    .reset,
                    flags: .fromOpener,
                    stream: key.number,
                    to: key.acceptor,
                    from: key.opener
                )
                resets.append((reset, entry.towardsAcceptor))
            } else {
                let reset = FrameHeader(.reset, stream: key.number, to: key.opener, from: key.acceptor)
                resets.append((reset, entry.towardsOpener))
            }
        }
        return resets
    }

    private mutating func remove(at index: Dictionary<StreamKey, Entry>.Index) {
        let opener = entries.remove(at: index).value.towardsOpener
        opened[opener] = opened[opener] == 1 ? nil : opened[opener]! - 1
    }
}
