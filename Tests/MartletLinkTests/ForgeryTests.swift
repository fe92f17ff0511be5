import MartletLink
import MartletTestKit
import MartletWire
import Testing

@Suite struct ForgeryTests {
    /// A network in use: streams of every allowed kind between random contexts.
    static func network(_ random: inout SeededGenerator) -> InstantNetwork {
        var network = InstantNetwork(count: 60, random: &random)
        while network.keys.count < 120 {
            let below = Int.random(in: 1..<network.nodes.count, using: &random)
            var above = network.parents[below]!
            while let next = network.parents[above], Bool.random(using: &random) { above = next }
            let isUp = Bool.random(using: &random)
            let isOpen = network.open(isUp ? .echo : .command, from: isUp ? below : above, to: isUp ? above : below)
            #expect(isOpen)
        }
        return network
    }

    /// A frame that a hostile context might send: real addresses and real streams, put together at random.
    static func forgery(_ network: InstantNetwork, _ random: inout SeededGenerator) -> FrameHeader {
        let kind = [.open, .data, .credit, .end, .reset].randomElement(using: &random)! as FrameHeader.Kind
        let key = network.keys.randomElement(using: &random)!
        func address() -> ContextAddress {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: key.opener
            case 1: key.acceptor
            case 2: network.address(.random(in: 0..<network.nodes.count, using: &random))
            default: key.acceptor.child(.random(in: 1...3, using: &random)) ?? .root
            }
        }
        var flags = FrameHeader.Flags(rawValue: .random(in: 0...31, using: &random)).intersection(kind.allowedFlags)
        if kind == .open { flags.insert(.fromOpener) }
        if Int.random(in: 0..<4, using: &random) == 0 {
            // A true frame of a true stream, from one of its ends.
            let isOpener = flags.contains(.fromOpener)
            return FrameHeader(
                kind,
                flags: flags,
                stream: key.number,
                to: isOpener ? key.acceptor : key.opener,
                from: isOpener ? key.opener : key.acceptor,
                payloadCount: kind == .credit ? 4 : 1_000
            )
        }
        return FrameHeader(
            kind,
            flags: flags,
            stream: Bool.random(using: &random) ? key.number : .random(in: 0...5, using: &random),
            to: address(),
            from: address(),
            payloadCount: kind == .credit ? 4 : .random(in: 0...65_280, using: &random)
        )
    }

    @Test func `No child speaks on a stream that is not its own, nor is obeyed by anybody above or beside it`() {
        var random = SeededGenerator(seed: 40)
        let original = Self.network(&random)
        let held = original.held
        var seen: [String: Int] = [:]
        for _ in 0..<8_000 {
            var header = Self.forgery(original, &random)
            // Half of the time the sender is whoever may send it, so that the way is not always barred at once.
            let sender = original.index(header.source) ?? 1
            let child =
                Bool.random(using: &random) ? Int.random(in: 1..<original.nodes.count, using: &random) : max(1, sender)
            let own = original.address(child)
            if Int.random(in: 0..<4, using: &random) == 0 { header.source = own }
            let kind =
                Int.random(in: 0..<8, using: &random) == 0 ? nil : StreamKind.allCases.randomElement(using: &random)
            var network = original
            let (verdict, at, hops) = network.send(
                header,
                kind: kind,
                credit: [0, 1, 100_000, 0xffff_ffff].randomElement(using: &random)!,
                by: child,
                over: .parent
            )
            func isOwn(_ owner: any StreamOwner) -> Bool {
                let key = original.keys[owner.tag / 2]
                let (peer, holder) = owner.tag % 2 == 0 ? (key.acceptor, key.opener) : (key.opener, key.acceptor)
                return own.contains(peer) && peer == header.source && holder == original.address(at)
            }
            if !own.contains(header.source) {
                guard case .violation = verdict else {
                    Issue.record("\(own) spoke for \(header.source)")
                    continue
                }
                #expect(hops == 1 && network.held == held)
                seen["lie", default: 0] += 1
                continue
            }
            switch verdict {
            case .opened(let key, let kind):
                #expect(own.contains(key.opener) && !own.contains(key.acceptor))
                #expect(
                    [.channel, .invoke].contains(kind)
                        || [.echo, .fetch].contains(kind) && key.acceptor.isAncestor(of: key.opener)
                        || [.output, .log].contains(kind) && key.acceptor.isRoot)
                seen["opened", default: 0] += 1
            case .message(let owner), .credit(let owner), .reset(let owner):
                #expect(isOwn(owner))
                seen["own stream", default: 0] += 1
            case .refuse(_, _, let owner):
                #expect(owner.map(isOwn) ?? true)
                seen["refused", default: 0] += 1
            case .violation: seen["violation", default: 0] += 1
            case .drop: seen["dropped", default: 0] += 1
            case .forward: Issue.record("a frame without a verdict")
            }
        }
        for what in ["lie", "opened", "own stream", "refused", "violation", "dropped"] {
            #expect(seen[what, default: 0] > 10, "\(seen)")
        }
    }

    @Test func `A parent cannot speak for what is below its child`() {
        var random = SeededGenerator(seed: 41)
        let network = Self.network(&random)
        for child in network.nodes.indices.dropFirst() {
            for _ in 0..<20 {
                var header = Self.forgery(network, &random)
                header.source = Bool.random(using: &random) ? network.address(child) : network.address(child).child(1)!
                var node = network.nodes[child]
                guard case .violation = node.receive(header, from: .parent, kind: .call, credit: 100_000) else {
                    Issue.record("the parent spoke for \(header.source)")
                    continue
                }
            }
        }
    }

    @Test func `A flood of streams stops at the limits, and what others do goes on`() {
        var random = SeededGenerator(seed: 42)
        var limits = StreamLimits()
        limits.maximumStreamsFromBelow = 20
        limits.maximumRelayedStreamsPerChild = 40
        var network = InstantNetwork(count: 2, random: &random, limits: limits)
        // /1 with the flooder /1/1 and its sibling /1/2, by hand: the tree above has only / and /1.
        var relay = network.nodes[1]
        let flooder = relay.addChild()!
        let sibling = relay.addChild()!
        var (atRoot, opened, refused) = (0, 0, 0)
        func open(_ number: UInt32, _ child: (number: UInt32, address: ContextAddress)) -> Bool {
            let header = FrameHeader(.open, flags: .fromOpener, stream: number, to: .root, from: child.address)
            guard case .forward(.parent) = relay.receive(header, from: .child(child.number), kind: .echo) else {
                refused += 1
                return false
            }
            let (verdict, _, _) = network.send(header, kind: .echo, by: 1, over: .parent)
            atRoot += 1
            guard case .opened(let key, _) = verdict else { return false }
            network.accept(key, at: 0)
            opened += 1
            return true
        }
        for number in 1...1_000 as ClosedRange<UInt32> { _ = open(number, flooder) }
        #expect(opened == 20 && atRoot == 40 && refused == 960)
        _ = open(1, sibling)
        #expect(atRoot == 41)
        let down = relay.receive(
            FrameHeader(.open, flags: .fromOpener, stream: 1, to: sibling.address, from: .root),
            from: .parent,
            kind: .call
        )
        guard case .forward = down else {
            Issue.record("the flood keeps the controller out")
            return
        }
    }
}
