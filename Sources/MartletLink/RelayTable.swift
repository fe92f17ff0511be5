package import MartletWire

/// The streams that cross this context from one link to another, so that both ends can be told when a link dies.
package struct RelayTable: Sendable {
    private struct Entry {
        var towardsOpener: Neighbour
        var towardsAcceptor: Neighbour
        var openerEnded: Bool
        var acceptorEnded = false
    }

    private var entries: [StreamKey: Entry] = [:]
    private let limit: Int

    package init(limit: Int = StreamLimits().maximumRelayedStreams) { self.limit = limit }

    package var count: Int { entries.count }

    package enum Verdict: Equatable, Sendable {
        case forward
        /// A frame of a stream that did not begin here or is over.
        case drop
        case refuse(ResetReason)
    }

    /// Notes a frame on its way from one link to another.
    package mutating func pass(_ header: FrameHeader, from: Neighbour, to: Neighbour) -> Verdict {
        let key = header.streamKey
        let fromOpener = header.flags.contains(.fromOpener)
        if header.kind == .open {
            guard fromOpener, entries[key] == nil else {
                return .refuse(ResetReason(.protocolViolation, "stream \(key.number) is open already"))
            }
            guard entries.count < limit else {
                return .refuse(ResetReason(.limitExceeded, "a relay carries too many streams"))
            }
            let ended = header.flags.contains(.last)
            entries[key] = Entry(towardsOpener: from, towardsAcceptor: to, openerEnded: ended)
            return .forward
        }
        guard let index = entries.index(forKey: key) else { return .drop }
        let entry = entries.values[index]
        guard (fromOpener ? entry.towardsOpener : entry.towardsAcceptor) == from else { return .drop }
        switch header.kind {
        case .end:
            if fromOpener {
                entries.values[index].openerEnded = true
            } else {
                entries.values[index].acceptorEnded = true
            }
            if entries.values[index].openerEnded, entries.values[index].acceptorEnded { entries.remove(at: index) }
        case .reset:
            entries.remove(at: index)
        default:
            break
        }
        return .forward
    }

    /// A link is gone: what crossed it is over.
    ///
    /// - Returns: the resets to send, each as if by the end that is lost.
    package mutating func lose(_ neighbour: Neighbour) -> [(reset: FrameHeader, to: Neighbour)] {
        var resets: [(reset: FrameHeader, to: Neighbour)] = []
        for (key, entry) in entries {
            if entry.towardsOpener == neighbour {
                let reset = FrameHeader(
                    .reset,
                    flags: .fromOpener,
                    stream: key.number,
                    to: key.acceptor,
                    from: key.opener
                )
                resets.append((reset, entry.towardsAcceptor))
            } else if entry.towardsAcceptor == neighbour {
                let reset = FrameHeader(.reset, stream: key.number, to: key.opener, from: key.acceptor)
                resets.append((reset, entry.towardsOpener))
            } else {
                continue
            }
            entries[key] = nil
        }
        return resets
    }
}
