import MartletLink
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
