import MartletLink
import MartletTestKit
import MartletWire
import Testing

@Suite struct LinkNodeTests {
    /// /1 with the children /1/1 and /1/2.
    static func relay() -> LinkNode {
        var node = LinkNode(address: RandomTree.address([1]), hasParent: true)
        _ = node.addChild()
        _ = node.addChild()
        return node
    }

    static func frame(_ kind: FrameHeader.Kind, from: [UInt32], to: [UInt32], opener: Bool = true) -> FrameHeader {
        FrameHeader(
            kind,
            flags: opener ? .fromOpener : [],
            stream: 1,
            to: RandomTree.address(to),
            from: RandomTree.address(from)
        )
    }

    static func refusal(_ verdict: LinkNode.Verdict) -> ResetReason.Code? {
        if case .refuse(_, let reason, _) = verdict { reason.code } else { nil }
    }

    static func isViolation(_ verdict: LinkNode.Verdict) -> Bool {
        if case .violation = verdict { true } else { false }
    }

    static func isDrop(_ verdict: LinkNode.Verdict) -> Bool {
        if case .drop = verdict { true } else { false }
    }

    @Test func `Nobody speaks for a context outside its own subtree`() {
        let lies: [(Neighbour, [UInt32])] = [
            (.child(1), []), (.child(1), [1]), (.child(1), [1, 2]), (.child(1), [1, 2, 1]), (.child(1), [2]),
            (.child(3), [1, 3]), (.parent, [1]), (.parent, [1, 1]), (.parent, [1, 1, 5]),
        ]
        for (neighbour, source) in lies {
            for kind in [.open, .data, .credit, .end, .reset] as [FrameHeader.Kind] {
                for destination in [[], [1], [1, 1], [1, 2], [2]] as [[UInt32]] {
                    var node = Self.relay()
                    let header = Self.frame(kind, from: source, to: destination)
                    #expect(Self.isViolation(node.receive(header, from: neighbour, kind: .echo)))
                }
            }
        }
    }

    /// What reaches the ends of a stream that a relay gives up.
    @Test func `What goes beyond the backlog of a relay ends its stream at both ends`() {
        var limits = StreamLimits()
        limits.maximumRelayedBacklog = 1000
        var node = LinkNode(address: RandomTree.address([1]), hasParent: true, limits: limits)
        _ = node.addChild()
        var open = Self.frame(.open, from: [1, 1], to: [], opener: true)
        open.payloadCount = 500
        func isWhole(_ relaying: LinkNode.Relaying) -> Bool { if case .whole = relaying { true } else { false } }
        func resets(_ relaying: LinkNode.Relaying) -> (FrameHeader?, FrameHeader)? {
            if case .resets(let onward, let back) = relaying { (onward, back) } else { nil }
        }
        // An open that does not fit goes back to its opener, and nobody else has heard of it.
        _ = node.receive(open, from: .child(1), kind: .output)
        #expect(node.relayedStreams == 1)
        #expect(isWhole(node.relay(open, waiting: 1000 - open.byteCount - 500)))
        let refused = resets(node.relay(open, waiting: 1000 - open.byteCount - 499))
        #expect(node.relayedStreams == 0)
        #expect(refused != nil && refused!.0 == nil)
        #expect(refused?.1.destination == open.source && refused?.1.source == open.destination)
        #expect(refused?.1.streamKey == open.streamKey && refused?.1.kind == .reset)
        // An end that does not fit: both ends hear of it, one as if from the other. Whatever comes then is stale.
        for fromOpener in [true, false] {
            _ = node.receive(open, from: .child(1), kind: .output)
            var end = Self.frame(
                .end, from: fromOpener ? [1, 1] : [], to: fromOpener ? [] : [1, 1], opener: fromOpener)
            end.payloadCount = 900
            _ = node.receive(end, from: fromOpener ? .child(1) : .parent, kind: nil)
            let ended = resets(node.relay(end, waiting: 100))
            #expect(node.relayedStreams == 0)
            #expect(ended?.0?.destination == end.destination && ended?.0?.source == end.source)
            #expect(ended?.1.destination == end.source && ended?.1.source == end.destination)
            #expect(ended?.0?.streamKey == open.streamKey && ended?.1.streamKey == open.streamKey)
            let data = Self.frame(.data, from: [1, 1], to: [], opener: true)
            #expect(Self.isDrop(node.receive(data, from: .child(1), kind: nil)))
        }
        // A reset loses its words, but not its way. What credit counts passes.
        let reset = Self.frame(.reset, from: [1, 1], to: [])
        #expect(isWhole(node.relay(reset, waiting: 1000)))
        if case .codeOnly = node.relay(reset, waiting: 1001) {} else { Issue.record("a reset with its message") }
        #expect(isWhole(node.relay(Self.frame(.credit, from: [1, 1], to: []), waiting: .max)))
    }

    @Test func `A link's own frames are nobody's stream`() {
        for kind in [.hello, .welcome, .ping, .pong, .goodbye] as [FrameHeader.Kind] {
            for neighbour in [.parent, .child(1)] as [Neighbour] {
                var node = Self.relay()
                #expect(Self.isViolation(node.receive(FrameHeader(kind), from: neighbour, kind: nil)))
            }
        }
    }

    @Test func `What leads nowhere is answered if it opens and dropped if not`() {
        let ways: [(Neighbour, from: [UInt32], to: [UInt32])] = [
            (.parent, [], [1, 9]), (.parent, [], [2]), (.parent, [2], []), (.child(1), [1, 1], [1, 1, 4]),
        ]
        for (neighbour, from, to) in ways {
            var node = Self.relay()
            let open = node.receive(Self.frame(.open, from: from, to: to), from: neighbour, kind: nil)
            #expect(Self.refusal(open) == .noRoute)
            let end = node.receive(Self.frame(.end, from: from, to: to), from: neighbour, kind: nil)
            #expect(Self.isDrop(end) && node.relayedStreams == 0)
        }
    }

    @Test func `A relay keeps no room for what may not be opened`() {
        var node = Self.relay()
        for kind in [.call, .command, .connect, .disconnect, .output, .echo] as [StreamKind] {
            let toSibling = node.receive(Self.frame(.open, from: [1, 1], to: [1, 2]), from: .child(1), kind: kind)
            #expect(Self.refusal(toSibling) == .refused)
        }
        let upwards = node.receive(Self.frame(.open, from: [1, 1], to: []), from: .child(1), kind: .command)
        #expect(Self.refusal(upwards) == .refused && node.relayedStreams == 0)
    }

    @Test func `An acceptor refuses a kind that it does not know`() {
        var node = Self.relay()
        let verdict = node.receive(Self.frame(.open, from: [], to: [1]), from: .parent, kind: nil)
        #expect(Self.refusal(verdict) == .protocolViolation)
    }

    @Test func `A link that is lost is lost for what ended here and for what passed through`() {
        var node = Self.relay()
        let own = node.streams.open(to: RandomTree.address([1, 1, 3]), owner: Tag(5), ended: false)
        _ = node.streams.open(to: RandomTree.address([1, 2]), owner: Tag(6), ended: false)
        _ = node.receive(Self.frame(.open, from: [], to: [1, 1]), from: .parent, kind: .call)
        _ = node.receive(Self.frame(.open, from: [], to: [1, 2]), from: .parent, kind: .call)
        #expect(node.relayedStreams == 2)
        let lost = node.lose(.child(1))
        #expect(lost.owners.map(\.tag) == [5])
        #expect(lost.resets.map(\.reset) == [Self.frame(.reset, from: [1, 1], to: [], opener: false)])
        #expect(lost.resets.map(\.to) == [.parent])
        #expect(node.route(to: own.acceptor) == nil && node.streams.count == 1 && node.relayedStreams == 1)
        // What was still under way from there is not let in any more.
        let late = node.receive(Self.frame(.open, from: [1, 1], to: [1]), from: .child(1), kind: .echo)
        #expect(Self.isViolation(late) && node.streams.count == 1)
        let again = node.lose(.child(1))
        #expect(again.owners.isEmpty && again.resets.isEmpty)
    }

    @Test func `Streams are accepted between exactly those whom the table allows`() {
        var random = SeededGenerator(seed: 30)
        let original = InstantNetwork(count: 26, random: &random)
        var network = original
        let kinds = StreamKind.allCases.map(Optional.some) + [nil]
        for from in original.nodes.indices {
            for to in original.nodes.indices where from != to {
                for kind in kinds {
                    let (opener, acceptor) = (original.address(from), original.address(to))
                    guard let neighbour = original.nodes[from].route(to: acceptor) else {
                        Issue.record("no way from \(opener) to \(acceptor)")
                        continue
                    }
                    let header = FrameHeader(.open, flags: .fromOpener, stream: 1, to: acceptor, from: opener)
                    let (verdict, at, _) = network.send(header, kind: kind, by: from, over: neighbour)
                    let isAllowed = kind.map { StreamAuthority.refusal(of: $0, from: opener, to: acceptor) == nil }
                    if case .opened = verdict {
                        #expect(isAllowed == true && at == to)
                    } else {
                        #expect(isAllowed != true && Self.refusal(verdict) != nil)
                    }
                    network = original
                }
            }
        }
    }
}
