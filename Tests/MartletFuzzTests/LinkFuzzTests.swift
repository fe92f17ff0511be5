import MartletLink
import MartletWire
import Testing

/// The owner of a stream: counts what it is told.
private final class Owner: StreamOwner, @unchecked Sendable {
    let key: StreamKey
    var ends = 0
    init(_ key: StreamKey) { self.key = key }
    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func wasReset(_ reason: ResetReason) {}
}

/// One context among neighbours that send whatever they like.
@Suite struct LinkFuzzTests {
    private static let neighbours: [Neighbour] = [.parent, .child(1), .child(2), .child(3)]

    private static func limits() -> StreamLimits {
        var limits = StreamLimits()
        limits.maximumStreams = 20
        limits.maximumStreamsFromBelow = 8
        limits.maximumRelayedStreams = 24
        limits.maximumRelayedStreamsPerChild = 12
        limits.maximumRelayedBacklog = 4_000
        limits.maximumRelayedData = 400_000
        return limits
    }

    @Test func `A context among liars keeps its limits, and forgets all when the links are gone`() throws {
        try Fuzz.run("liars", rounds: 300) { random in
            let isRoot = random.chance(4)
            let own = isRoot ? ContextAddress.root : ContextAddress([7, 2])!
            var node = LinkNode(address: own, hasParent: !isRoot, limits: Self.limits())
            var outboxes: [Neighbour: Outbox] = [:]
            var owners: [StreamKey: Owner] = [:]
            for _ in 0..<3 { _ = node.addChild() }
            // Addresses of which some are one's own, some others'.
            var places: [ContextAddress] = [.root, own, ContextAddress([7])!, ContextAddress([8, 1])!]
            for number in 1...4 as ClosedRange<UInt32> {
                let child = own.child(number)!
                places += [child, child.child(1)!, child.child(1)!.child(9)!]
            }
            let here = Self.neighbours.filter { !isRoot || $0 != .parent }
            for _ in 0..<600 {
                switch Int.random(in: 0..<12, using: &random) {
                case 0:
                    guard let target = places.randomElement(using: &random), node.route(to: target) != nil else {
                        break
                    }
                    guard owners.count < 60 else { break }
                    let owner = Owner(StreamKey(opener: own, acceptor: target, number: 0))
                    let key = node.streams.open(to: target, owner: owner, ended: random.chance(2))
                    owners[key] = owner
                case 1:
                    guard let key = owners.keys.sorted(by: { $0.number < $1.number }).randomElement(using: &random)
                    else { break }
                    if random.chance(2) { _ = node.streams.sentLast(key) } else { node.streams.remove(key) }
                    if node.streams.owner(of: key) == nil { owners[key] = nil }
                case 2:
                    // A link takes what waits.
                    let neighbour = here.randomElement(using: &random)!
                    for _ in 0..<Int.random(in: 0...20, using: &random) { _ = outboxes[neighbour]?.next() }
                default:
                    let from = here.randomElement(using: &random)!
                    let kind = [FrameHeader.Kind.open, .open, .data, .data, .data, .credit, .end, .reset, .ping]
                        .randomElement(using: &random)!
                    var flags = FrameHeader.Flags(rawValue: .random(in: 0...31, using: &random))
                    flags.formIntersection(kind.allowedFlags)
                    if kind == .open { flags = flags.union(.fromOpener).subtracting(.more) }
                    let header = FrameHeader(
                        kind, flags: flags, stream: .random(in: 1...9, using: &random),
                        to: kind.isLinkLocal ? .root : places.randomElement(using: &random)!,
                        from: kind.isLinkLocal ? .root : places.randomElement(using: &random)!,
                        payloadCount: kind == .data
                            ? .random(in: 0...65_280, using: &random) : .random(in: 0...900, using: &random))
                    let credit = [0, 1, 65_536, 131_072, 1 << 24, 1 << 25, .max >> 33].randomElement(using: &random)!
                    let stream = StreamKind(rawValue: .random(in: 1...9, using: &random))
                    let verdict = node.receive(
                        header, from: from, kind: random.chance(9) ? nil : stream, credit: credit)
                    switch verdict {
                    case .opened(let key, let kind):
                        try demand(kind != .call || key.opener.isAncestor(of: own), "a call from \(key.opener)")
                        try demand(key.acceptor == own, "not for us: \(key)")
                        let owner = Owner(key)
                        owners[key] = owner
                        node.streams.accept(key, owner: owner, ended: flags.contains(.last))
                    case .message(let owner), .credit(let owner):
                        try demand((owner as! Owner).ends == 0, "told after the end")
                        if header.kind == .data, random.chance(2) {
                            _ = node.streams.consumed(header.streamKey, payload: header.payloadCount)
                        }
                        if node.streams.owner(of: header.streamKey) == nil { owners[header.streamKey] = nil }
                    case .reset(let owner):
                        (owner as! Owner).ends += 1
                        try demand((owner as! Owner).ends == 1, "told twice")
                        owners[header.streamKey] = nil
                    case .refuse(let key, _, let owner):
                        (owner as? Owner)?.ends += 1
                        owners[key] = nil
                    case .forward(let to):
                        try demand(to != from, "back where it came from")
                        try demand(node.router.admits(source: header.source, from: from), "a forged source went on")
                        var outbox = outboxes[to] ?? Outbox()
                        let waiting = header.kind == .data ? outbox.waitingData(from: from) : outbox.waiting(from: from)
                        switch node.relay(header, waiting: waiting) {
                        case .whole:
                            let bytes = [UInt8](repeating: 0, count: header.byteCount + header.payloadCount)
                            outbox.append(bytes, header: header, from: from)
                        case .codeOnly: outbox.append(header.bytes + [1], header: header, from: from)
                        case .resets(let onward, let back):
                            if let onward { outbox.append(onward.bytes, header: onward) }
                            outboxes[from, default: Outbox()].append(back.bytes, header: back)
                        }
                        outboxes[to] = outbox
                    case .drop, .violation: break
                    }
                }
                let fromBelow = node.streams.keys.filter { $0.opener != own && !$0.opener.isAncestor(of: own) }
                try demand(fromBelow.count <= 8 * 4, "\(fromBelow.count) streams from below")
                try demand(node.relayedStreams <= 48, "\(node.relayedStreams) relayed streams")
                for outbox in outboxes.values {
                    for neighbour in here {
                        try demand(outbox.waiting(from: neighbour) >= 0, "negative account")
                        if neighbour != .parent {
                            try demand(outbox.waitingData(from: neighbour) <= 400_000, "data beyond the bound")
                        }
                    }
                }
            }
            // Each link is drained or lost; nothing is left.
            for (_, outbox) in outboxes {
                var outbox = outbox
                while outbox.next() != nil {}
                try demand(outbox.isEmpty && outbox.relayedData == 0, "an outbox that is empty and is not")
                for neighbour in here {
                    try demand(outbox.waiting(from: neighbour) == 0, "an account that is not settled")
                    try demand(outbox.waitingData(from: neighbour) == 0, "an account that is not settled")
                }
            }
            for neighbour in here { _ = node.lose(neighbour) }
            try demand(node.streams.count == 0, "\(node.streams.count) streams are left")
            try demand(node.relayedStreams == 0, "\(node.relayedStreams) relayed streams are left")
        }
    }

    /// Two honest ends and the way between them, which only delays.
    @Test func `Credit is conserved, and a reader that reads keeps the writer going`() throws {
        try Fuzz.run("credit", rounds: 400) { random in
            var sender = StreamState()
            var receiver = StreamState()
            var budget = ReceiveBudget(limit: [0, 1 << 20, 1 << 27].randomElement(using: &random)!)
            let full = budget.available
            var (data, grants, unread): ([(Int, Bool)], [Int], [Int]) = ([], [], [])
            var (sent, granted, arrived) = (0, StreamState.initialWindow, StreamState.initialWindow)
            let isFast = random.chance(2)
            func cost(_ count: Int) -> Int { StreamState.cost(ofPayload: count) }
            for _ in 0..<3_000 {
                switch Int.random(in: 0..<(isFast ? 6 : 12), using: &random) {
                case 0, 6, 7, 8:
                    let count =
                        random.chance(3) ? FrameHeader.maximumPayload : Int.random(in: 0...3_000, using: &random)
                    let room = sender.sendablePayload
                    try demand(
                        room == max(0, min(FrameHeader.maximumPayload, arrived - sent - StreamState.frameCost)), "room")
                    guard sender.takeCredit(forPayload: count) else { break }
                    sent += cost(count)
                    data.append((count, sender.takeHeldUp()))
                case 1, 2:
                    guard !data.isEmpty else { break }
                    let (count, heldUp) = data.removeFirst()
                    try demand(receiver.receivedData(payload: count, heldUp: heldUp), "honest data is refused")
                    unread.append(count)
                case 3, 4:
                    guard !unread.isEmpty else { break }
                    let credit = receiver.consumedData(payload: unread.removeFirst(), budget: &budget)
                    if credit > 0 {
                        granted += credit
                        grants.append(credit)
                    }
                default:
                    guard !grants.isEmpty else { break }
                    let credit = grants.removeFirst()
                    try demand(sender.receivedCredit(credit), "honest credit is refused")
                    arrived += credit
                }
                try demand(receiver.unread == unread.reduce(0) { $0 + cost($1) }, "unread")
                try demand(receiver.unread <= receiver.receiveWindow, "more than the window lies here")
                try demand(receiver.receiveWindow <= StreamState.maximumWindow, "the window")
                try demand(sent <= granted, "more was sent than granted")
            }
            // The reader reads all.
            while !data.isEmpty || !unread.isEmpty || !grants.isEmpty {
                if !data.isEmpty {
                    let (count, heldUp) = data.removeFirst()
                    _ = receiver.receivedData(payload: count, heldUp: heldUp)
                    unread.append(count)
                }
                if !unread.isEmpty {
                    let credit = receiver.consumedData(payload: unread.removeFirst(), budget: &budget)
                    if credit > 0 { grants.append(credit) }
                }
                if !grants.isEmpty { _ = sender.receivedCredit(grants.removeFirst()) }
            }
            try demand(sender.sendablePayload == FrameHeader.maximumPayload, "the writer stands still for ever")
            receiver.release(to: &budget)
            try demand(budget.available == full, "the budget")
        }
    }
}
