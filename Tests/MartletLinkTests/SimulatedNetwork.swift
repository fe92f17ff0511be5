import MartletLink
import MartletTestKit
import MartletWire

/// A tree of ``LinkNode``s whose links are queues in memory, driven by one seeded generator: no clock, no I/O.
struct SimulatedNetwork {
    private(set) var contexts: [Context] = []
    private(set) var ends: [End] = []
    private(set) var directions: [Direction] = []
    private var live: [Int] = []
    private var active: [Int] = []
    private var lossesToNotice: [(context: Int, neighbour: Neighbour)] = []
    private(set) var errors: [String] = []
    private(set) var delivered = 0
    private(set) var forwarded = 0
    private(set) var resetOutcomes = 0
    private(set) var endOutcomes = 0
    private(set) var longestQueue = 0
    var random: SeededGenerator

    init(count: Int, seed: UInt64, limits: StreamLimits) {
        random = SeededGenerator(seed: seed)
        contexts.append(
            Context(node: LinkNode(address: .root, hasParent: false, limits: limits), parent: nil, depth: 0)
        )
        while contexts.count < count {
            let parent = Int.random(in: 0..<contexts.count, using: &random)
            guard contexts[parent].depth < 14, let child = contexts[parent].node.addChild() else { continue }
            let node = LinkNode(address: child.address, hasParent: true, limits: limits)
            let index = contexts.count
            contexts.append(Context(node: node, parent: parent, depth: contexts[parent].depth + 1))
            connect(parent, index, child.number)
        }
    }

    private mutating func connect(_ parent: Int, _ child: Int, _ number: UInt32) {
        let slowness = Int.random(in: 0..<5, using: &random) == 0 ? 8 : 1
        contexts[parent].directions[.child(number)] = directions.count
        directions.append(Direction(from: parent, to: child, arrivesFrom: .parent, slowness: slowness))
        contexts[child].directions[.parent] = directions.count
        directions.append(Direction(from: child, to: parent, arrivesFrom: .child(number), slowness: slowness))
    }

    // MARK: What contexts do

    /// A random context and one of its ancestors.
    mutating func randomPair() -> (above: Int, below: Int) {
        let below = Int.random(in: 1..<contexts.count, using: &random)
        var above = contexts[below].parent!
        while let next = contexts[above].parent, Bool.random(using: &random) { above = next }
        return (above, below)
    }

    /// Opens a stream, or does nothing where no link leads there any more.
    mutating func open(_ kind: StreamKind, from: Int, to: Int, frames: Int, isCall: Bool, isBulk: Bool) {
        let target = contexts[to].node.address
        guard contexts[from].node.route(to: target) != nil else { return }
        let key = contexts[from].node.streams.open(to: target, owner: Tag(ends.count), ended: isCall)
        var flags: FrameHeader.Flags = .fromOpener
        if isCall { flags.insert(.last) }
        if isBulk { flags.insert(.bulk) }
        add(
            End(
                context: from,
                key: key,
                isBulk: isBulk,
                isOpener: true,
                framesToSend: isCall ? 0 : frames,
                saysEnd: !isCall,
                place: live.count
            )
        )
        var frame = Frame(
            header: FrameHeader(
                .open,
                flags: flags,
                stream: key.number,
                to: target,
                from: key.opener,
                payloadCount: 1_000
            )
        )
        frame.kind = kind
        frame.sender = ends.count - 1
        send(frame, by: from)
    }

    private mutating func add(_ end: End) {
        live.append(ends.count)
        ends.append(end)
    }

    /// Lets a random end read, write, or give up.
    mutating func work() {
        guard let index = live.randomElement(using: &random) else { return }
        read(index, Int.random(in: 0...4, using: &random))
        write(index, Int.random(in: 0...4, using: &random))
    }

    mutating func giveUp() {
        guard let index = live.randomElement(using: &random) else { return }
        let end = ends[index]
        guard contexts[end.context].node.streams.remove(end.key)?.tag == index else { return fail("no entry to reset") }
        finish(index, byReset: true)
        send(Frame(header: header(.reset, index)), by: end.context)
    }

    /// Everything that is still to be done, as long as anything moves.
    mutating func drain() {
        while !lossesToNotice.isEmpty { noticeLoss() }
        var before = -1
        while before != delivered + ends.count + endOutcomes {
            before = delivered + ends.count + endOutcomes
            for index in live {
                read(index, .max)
                write(index, .max)
            }
            while !active.isEmpty { deliver() }
        }
    }

    private mutating func read(_ index: Int, _ count: Int) {
        guard ends[index].outcomes == 0 else { return }
        let end = ends[index]
        for payload in end.unread.prefix(count) {
            let credit = contexts[end.context].node.streams.consumed(end.key, payload: payload)
            guard credit > 0 else { continue }
            var frame = Frame(header: header(.credit, index, payload: 4))
            frame.credit = credit
            send(frame, by: end.context)
        }
        ends[index].unread.removeFirst(min(count, end.unread.count))
    }

    private mutating func write(_ index: Int, _ count: Int) {
        var count = count
        while ends[index].outcomes == 0, count > 0, ends[index].framesToSend > 0 {
            count -= 1
            let payload = Int.random(in: 0...FrameHeader.maximumPayload, using: &random)
            let end = ends[index]
            guard contexts[end.context].node.streams.takeCredit(end.key, payload: payload) == true else { return }
            var header = header(.data, index, payload: payload)
            if contexts[end.context].node.streams.takeHeldUp(end.key) { header.flags.insert(.heldUp) }
            ends[index].framesToSend -= 1
            send(numbered(header, index), by: end.context)
        }
        let end = ends[index]
        guard end.outcomes == 0, end.framesToSend == 0, end.saysEnd else { return }
        ends[index].saysEnd = false
        guard contexts[end.context].node.streams.sentLast(end.key) else { return fail("no entry to end") }
        send(numbered(header(.end, index), index), by: end.context)
        finishIfClosed(index)
    }

    private mutating func numbered(_ header: FrameHeader, _ index: Int) -> Frame {
        defer { ends[index].sequence += 1 }
        return Frame(header: header, sender: index, sequence: ends[index].sequence)
    }

    private func header(_ kind: FrameHeader.Kind, _ index: Int, payload: Int = 0) -> FrameHeader {
        let end = ends[index]
        var flags: FrameHeader.Flags = end.isOpener ? .fromOpener : []
        if end.isBulk { flags.insert(.bulk) }
        return FrameHeader(
            kind,
            flags: flags,
            stream: end.key.number,
            to: end.isOpener ? end.key.acceptor : end.key.opener,
            from: end.isOpener ? end.key.opener : end.key.acceptor,
            payloadCount: payload
        )
    }

    private mutating func finishIfClosed(_ index: Int) {
        let end = ends[index]
        if contexts[end.context].node.streams.owner(of: end.key) == nil { finish(index, byReset: false) }
    }

    private mutating func finish(_ index: Int, byReset: Bool) {
        ends[index].outcomes += 1
        guard ends[index].outcomes == 1 else { return fail("end \(index) is told twice") }
        if byReset { resetOutcomes += 1 } else { endOutcomes += 1 }
        let place = ends[index].place
        let last = live.removeLast()
        if last != index {
            live[place] = last
            ends[last].place = place
        }
    }

    private mutating func fail(_ what: String) { errors.append(what) }

    // MARK: Links

    private mutating func send(_ frame: Frame, by context: Int) {
        guard let neighbour = contexts[context].node.route(to: frame.header.destination) else { return }
        send(frame, from: context, over: neighbour)
    }

    private mutating func send(_ frame: Frame, from context: Int, over neighbour: Neighbour) {
        guard let index = contexts[context].directions[neighbour], directions[index].isAlive else { return }
        directions[index].outbox.append(frame)
        if frame.header.kind == .data {
            let cost = StreamState.cost(ofPayload: frame.header.payloadCount)
            directions[index].waiting[frame.header.streamKey, default: 0] += cost
            longestQueue = max(longestQueue, directions[index].waiting[frame.header.streamKey]!)
        } else if frame.header.kind == .reset, frame.header.flags.contains(.bulk) {
            directions[index].waiting[frame.header.streamKey] = nil
        }
        activate(index)
    }

    private mutating func activate(_ index: Int) {
        guard directions[index].place == nil else { return }
        directions[index].place = active.count
        active.append(index)
    }

    private mutating func deactivate(_ index: Int) {
        guard let place = directions[index].place else { return }
        directions[index].place = nil
        let last = active.removeLast()
        if last != index {
            active[place] = last
            directions[last].place = place
        }
    }

    /// Moves one frame over a random link that has one.
    mutating func deliver() {
        guard let index = active.randomElement(using: &random) else { return }
        if directions[index].slowness > 1, Int.random(in: 0..<directions[index].slowness, using: &random) > 0 { return }
        while directions[index].wire.count < 3, let next = directions[index].outbox.next() {
            directions[index].wire.append(next)
        }
        guard !directions[index].wire.isEmpty else { return deactivate(index) }
        let frame = directions[index].wire.removeFirst()
        let key = frame.header.streamKey
        if frame.header.kind == .data, let waiting = directions[index].waiting[key] {
            let rest = waiting - StreamState.cost(ofPayload: frame.header.payloadCount)
            directions[index].waiting[key] = rest > 0 ? rest : nil
        }
        delivered += 1
        receive(frame, at: directions[index].to, from: directions[index].arrivesFrom)
    }

    /// Cuts the link between a random context and its parent; each side notices later, by itself.
    mutating func cutLink() {
        let child = Int.random(in: 1..<contexts.count, using: &random)
        guard let up = contexts[child].directions[.parent], directions[up].isAlive else { return }
        let down = up - 1
        for index in [up, down] {
            deactivate(index)
            directions[index].isAlive = false
            directions[index].wire = []
            directions[index].outbox = FrameQueue()
            directions[index].waiting = [:]
        }
        lossesToNotice.append((child, .parent))
        lossesToNotice.append((directions[down].from, directions[up].arrivesFrom))
    }

    mutating func noticeLoss() {
        guard let index = lossesToNotice.indices.randomElement(using: &random) else { return }
        let (context, neighbour) = lossesToNotice.remove(at: index)
        let (owners, resets) = contexts[context].node.lose(neighbour)
        contexts[context].directions[neighbour] = nil
        // Sorted: the order of a dictionary differs from run to run, and a seed has to repeat its run.
        for owner in owners.map(\.tag).sorted() { finish(owner, byReset: true) }
        for (reset, to) in resets.sorted(by: { $0.reset.bytes.lexicographicallyPrecedes($1.reset.bytes) }) {
            send(Frame(header: reset), from: context, over: to)
        }
    }

    // MARK: Receiving

    private mutating func receive(_ frame: Frame, at context: Int, from neighbour: Neighbour) {
        let header = frame.header
        let verdict = contexts[context].node.receive(header, from: neighbour, kind: frame.kind, credit: frame.credit)
        switch verdict {
        case .forward(let next):
            forwarded += 1
            send(frame, from: context, over: next)
        case .opened(let key, _):
            if Int.random(in: 0..<10, using: &random) == 0 { return answer(header, context, neighbour) }
            contexts[context].node.streams.accept(key, owner: Tag(ends.count), ended: header.flags.contains(.last))
            ends[frame.sender!].peer = ends.count
            add(
                End(
                    context: context,
                    key: key,
                    isBulk: header.flags.contains(.bulk),
                    isOpener: false,
                    framesToSend: header.flags.contains(.last) ? 0 : .random(in: 0...6, using: &random),
                    saysEnd: true,
                    peer: frame.sender,
                    place: live.count
                )
            )
        case .message(let someone):
            let owner = someone.tag
            let end = ends[owner]
            if end.context != context || end.key != header.streamKey || end.outcomes > 0 || end.peer != frame.sender {
                fail("a frame of \(header.streamKey) at the wrong end")
            }
            if frame.sequence != end.expected { fail("frame \(frame.sequence) where \(end.expected) is due") }
            ends[owner].expected += 1
            if header.kind == .data { ends[owner].unread.append(header.payloadCount) } else { finishIfClosed(owner) }
        case .credit(let someone):
            let owner = someone.tag
            if ends[owner].context != context || ends[owner].key != header.streamKey { fail("credit at the wrong end") }
        case .reset(let someone):
            let owner = someone.tag
            if ends[owner].context != context || ends[owner].key != header.streamKey { fail("reset at the wrong end") }
            finish(owner, byReset: true)
        case .refuse(_, let reason, let owner):
            if reason.code != .noRoute { fail("refused: \(reason.message)") }
            if let owner { finish(owner.tag, byReset: true) }
            answer(header, context, neighbour)
        case .drop:
            break
        case .violation(let what):
            fail("violation among honest contexts: \(what)")
        }
    }

    /// Sends a frame's source the reset of its stream.
    private mutating func answer(_ header: FrameHeader, _ context: Int, _ neighbour: Neighbour) {
        var reset = FrameHeader(.reset, stream: header.stream, to: header.source, from: header.destination)
        if !header.flags.contains(.fromOpener) { reset.flags = .fromOpener }
        send(Frame(header: reset), from: context, over: neighbour)
    }
}
