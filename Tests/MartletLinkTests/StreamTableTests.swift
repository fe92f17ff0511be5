import MartletLink
import MartletTestKit
import MartletWire
import Testing

/// What a test looks at in an event.
enum Seen: Equatable {
    case opened
    case message(Int)
    case credit(Int)
    case reset(Int)
    case stale
    case violation(Int?, ResetReason.Code)

    init(_ event: StreamTable.Event) {
        self =
            switch event {
            case .opened: .opened
            case .message(let owner): .message(owner.tag)
            case .credit(let owner): .credit(owner.tag)
            case .reset(let owner): .reset(owner.tag)
            case .stale: .stale
            case .violation(let owner, let reason): .violation(owner?.tag, reason.code)
            }
    }
}

@Suite struct StreamTableTests {
    static let here = RandomTree.address([1])
    static let above = ContextAddress.root

    static func frame(
        _ kind: FrameHeader.Kind,
        _ number: UInt32 = 1,
        from source: ContextAddress = above,
        flags: FrameHeader.Flags = .fromOpener,
        payload: Int = 0
    ) -> FrameHeader {
        FrameHeader(kind, flags: flags, stream: number, to: here, from: source, payloadCount: payload)
    }

    static func receive(_ table: inout StreamTable, _ header: FrameHeader, credit: Int = 0) -> Seen {
        Seen(table.receive(header, credit: credit))
    }

    /// A table with stream 1 from above, accepted for owner 7.
    static func accepted(ended: Bool = false, limits: StreamLimits = .init()) -> (StreamTable, StreamKey) {
        var table = StreamTable(address: here, limits: limits)
        let key = StreamKey(opener: above, acceptor: here, number: 1)
        let seen = receive(&table, frame(.open, flags: ended ? [.fromOpener, .last] : .fromOpener))
        #expect(seen == .opened)
        table.accept(key, owner: Tag(7), ended: ended)
        return (table, key)
    }

    @Test func `A call is open, answered and gone at both ends`() {
        var caller = StreamTable(address: Self.above)
        let key = caller.open(to: Self.here, owner: Tag(3), ended: true)
        #expect(caller.owner(of: key)?.tag == 3)
        var (table, _) = Self.accepted(ended: true)
        let answered = table.sentLast(key)
        #expect(answered && table.count == 0)
        let answer = FrameHeader(.end, stream: key.number, to: Self.above, from: Self.here)
        let seen = Self.receive(&caller, answer)
        #expect(seen == .message(3) && caller.count == 0)
        let again = table.sentLast(key)
        #expect(!again)
    }

    @Test func `Each direction closes by itself`() {
        var (table, key) = Self.accepted()
        let sent = table.sentLast(key)
        let twice = table.sentLast(key)
        #expect(sent && !twice && table.count == 1)
        let data = Self.receive(&table, Self.frame(.data, payload: 10))
        #expect(data == .message(7))
        let end = Self.receive(&table, Self.frame(.end))
        #expect(end == .message(7) && table.count == 0)
        let late = Self.receive(&table, Self.frame(.data))
        #expect(late == .stale)
    }

    @Test func `Frames of streams that are over are stale, whatever they are`() {
        for kind in [.data, .end, .reset, .credit] as [FrameHeader.Kind] {
            for flags in [.fromOpener, []] as [FrameHeader.Flags] {
                var table = StreamTable(address: Self.here)
                let seen = Self.receive(&table, Self.frame(kind, 5, flags: flags), credit: 100_000)
                #expect(seen == .stale)
            }
        }
    }

    @Test func `A reset that crosses an end does no harm`() {
        var (table, key) = Self.accepted(ended: true)
        _ = table.sentLast(key)
        let seen = Self.receive(&table, Self.frame(.reset))
        #expect(seen == .stale && table.count == 0)
        // And the end that crosses our own reset is stale as well.
        var caller = StreamTable(address: Self.above)
        let call = caller.open(to: Self.here, owner: Tag(3), ended: true)
        let owner = caller.remove(call)
        let answer = Self.receive(&caller, FrameHeader(.end, stream: call.number, to: Self.above, from: Self.here))
        let again = caller.remove(call)
        #expect(owner?.tag == 3 && answer == .stale && again == nil)
    }

    @Test func `What breaks the rules ends the stream and tells its owner`() {
        let endless = FrameHeader.maximumPayload
        let cases: [(name: String, frames: [(FrameHeader, Int)])] = [
            ("data behind the end", [(Self.frame(.end), 0), (Self.frame(.data), 0)]),
            ("two ends", [(Self.frame(.end), 0), (Self.frame(.end), 0)]),
            ("more than the window", (0..<5).map { _ in (Self.frame(.data, payload: endless), 0) }),
            ("no credit", [(Self.frame(.credit), 0)]),
            ("crumbs of credit", [(Self.frame(.credit), 1)]),
            ("absurd credit", [(Self.frame(.credit), 0xffff_ffff)]),
            ("a second open", [(Self.frame(.open), 0)]),
        ]
        for (name, frames) in cases {
            var (table, _) = Self.accepted()
            let seen = frames.map { Self.receive(&table, $0.0, credit: $0.1) }
            #expect(seen.last == .violation(7, .protocolViolation), "\(name)")
            #expect(table.count == 0, "\(name)")
        }
    }

    @Test func `Another end's stream with the same number is another stream`() {
        var (table, _) = Self.accepted()
        let own = table.open(to: Self.above, owner: Tag(8), ended: false)
        #expect(own.number == 1 && table.count == 2)
        let theirs = Self.receive(&table, Self.frame(.data, flags: .fromOpener))
        let ours = Self.receive(&table, Self.frame(.data, flags: []))
        let stranger = Self.receive(&table, Self.frame(.data, from: RandomTree.address([2])))
        #expect(theirs == .message(7) && ours == .message(8) && stranger == .stale)
    }

    @Test func `Numbers go round without touching streams that are open`() {
        var table = StreamTable(address: .root, lastNumber: .max - 2)
        let keys = (0..<5).map { table.open(to: Self.here, owner: Tag($0), ended: false).number }
        #expect(keys == [.max - 1, .max, 0, 1, 2])
        var full = StreamTable(address: .root, lastNumber: .max)
        for owner in 0..<3 { _ = full.open(to: Self.here, owner: Tag(owner), ended: false) }
        #expect(Set(full.keys.map(\.number)) == [0, 1, 2])
    }

    @Test func `Each child has its own share of the streams from below`() {
        var limits = StreamLimits()
        limits.maximumStreamsFromBelow = 3
        var table = StreamTable(address: .root, limits: limits)
        func open(_ number: UInt32, from path: [UInt32]) -> Seen {
            let source = RandomTree.address(path)
            let header = FrameHeader(.open, flags: .fromOpener, stream: number, to: .root, from: source)
            let seen = Self.receive(&table, header)
            if seen == .opened { table.accept(header.streamKey, owner: Tag(1), ended: false) }
            return seen
        }
        let flood = (1...10 as ClosedRange<UInt32>).map { open($0, from: [1, $0]) }
        #expect(flood.filter { $0 == .opened }.count == 3)
        #expect(flood.last == .violation(nil, .limitExceeded))
        let sibling = open(1, from: [2])
        #expect(sibling == .opened)
        // A place is free again however the stream ends.
        table.remove(StreamKey(opener: RandomTree.address([1, 1]), acceptor: .root, number: 1))
        let next = open(20, from: [1])
        let tooMany = open(21, from: [1])
        #expect(next == .opened && tooMany == .violation(nil, .limitExceeded))
    }

    @Test func `A context takes no more streams than its limit`() {
        var limits = StreamLimits()
        limits.maximumStreams = 2
        var (table, _) = Self.accepted(limits: limits)
        _ = table.open(to: RandomTree.address([1, 1]), owner: Tag(1), ended: false)
        let seen = Self.receive(&table, Self.frame(.open, 9))
        #expect(seen == .violation(nil, .limitExceeded))
    }

    @Test func `Losing a neighbour ends its streams and no others, and gives the budget back`() {
        var random = SeededGenerator(seed: 20)
        var limits = StreamLimits()
        limits.receiveBudget = StreamState.initialWindow
        var table = StreamTable(address: .root, limits: limits)
        for round in 0..<30 {
            let paths: [[UInt32]] = (0..<20).map { _ in [UInt32.random(in: 1...4, using: &random), 5] }
            for (owner, path) in paths.enumerated() {
                let key = table.open(to: RandomTree.address(path), owner: Tag(owner), ended: false)
                // Only one stream at a time can have the budget: it must come back each round.
                let data = FrameHeader(
                    .data,
                    flags: .heldUp,
                    stream: key.number,
                    to: .root,
                    from: key.acceptor,
                    payloadCount: 60_000
                )
                let seen = Self.receive(&table, data)
                #expect(seen == .message(owner))
                let credit = table.consumed(key, payload: 60_000)
                #expect((credit > 0) == (owner == 0), "round \(round)")
            }
            let lost = table.removeAll { RandomTree.address([2]).contains($0) }
            #expect(Set(lost.map(\.owner.tag)) == Set(paths.indices.filter { paths[$0][0] == 2 }))
            #expect(table.count == paths.count - lost.count)
            let rest = table.removeAll { _ in true }
            #expect(rest.count + lost.count == paths.count && table.count == 0)
            #expect(table.consumed(lost.first?.key ?? rest[0].key, payload: 10) == 0)
        }
    }
}
