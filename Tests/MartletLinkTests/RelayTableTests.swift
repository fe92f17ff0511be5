import MartletLink
import MartletWire
import Testing

@Suite struct RelayTableTests {
    static let opener = ContextAddress.root
    static let acceptor = RandomTree.address([1, 2])
    static let up = Neighbour.parent
    static let down = Neighbour.child(2)

    static func there(
        _ kind: FrameHeader.Kind, _ number: UInt32 = 1, last: Bool = false, payload: Int = 0
    )
        -> FrameHeader
    {
        let flags: FrameHeader.Flags = last ? [.fromOpener, .last] : .fromOpener
        return FrameHeader(kind, flags: flags, stream: number, to: acceptor, from: opener, payloadCount: payload)
    }

    static func back(_ kind: FrameHeader.Kind, _ number: UInt32 = 1, payload: Int = 0) -> FrameHeader {
        FrameHeader(kind, stream: number, to: opener, from: acceptor, payloadCount: payload)
    }

    static func isViolation(_ verdict: RelayTable.Verdict) -> Bool {
        if case .violation = verdict { true } else { false }
    }

    static func opened(last: Bool = false) -> RelayTable {
        var table = RelayTable()
        let verdict = table.pass(there(.open, last: last), from: up, to: down)
        #expect(verdict == .forward && table.count == 1)
        return table
    }

    @Test func `A stream is forgotten when both ends have ended it`() {
        for last in [true, false] {
            var table = Self.opened(last: last)
            if !last {
                let end = table.pass(Self.there(.end), from: Self.up, to: Self.down)
                #expect(end == .forward && table.count == 1)
            }
            let answer = table.pass(Self.back(.end), from: Self.down, to: Self.up)
            #expect(answer == .forward && table.count == 0)
            let late = table.pass(Self.there(.reset), from: Self.up, to: Self.down)
            #expect(late == .drop)
        }
    }

    @Test func `A reset from either end forgets the stream at once`() {
        var table = Self.opened()
        var verdict = table.pass(Self.back(.reset), from: Self.down, to: Self.up)
        #expect(verdict == .forward && table.count == 0)
        verdict = table.pass(Self.there(.reset), from: Self.up, to: Self.down)
        #expect(verdict == .drop)
        table = Self.opened()
        verdict = table.pass(Self.there(.reset), from: Self.up, to: Self.down)
        #expect(verdict == .forward && table.count == 0)
    }

    @Test func `Nothing passes on a stream that did not begin here`() {
        var table = RelayTable()
        for kind in [.data, .credit, .end, .reset, .hello, .ping] as [FrameHeader.Kind] {
            let verdict = table.pass(Self.there(kind), from: Self.up, to: Self.down, credit: 100_000)
            #expect(verdict == .drop)
        }
    }

    @Test func `A frame from the wrong side is dropped and changes nothing`() {
        var table = Self.opened()
        for kind in [.data, .credit, .end, .reset] as [FrameHeader.Kind] {
            for wrong in [Self.down, .child(3)] {
                let verdict = table.pass(Self.there(kind), from: wrong, to: Self.up, credit: 100_000)
                #expect(verdict == .drop)
            }
            for wrong in [Self.up, .child(3)] {
                let verdict = table.pass(Self.back(kind), from: wrong, to: Self.up, credit: 100_000)
                #expect(verdict == .drop)
            }
        }
        let resets = table.lose(Self.down)
        #expect(resets.count == 1)
    }

    @Test func `When a link dies the other end is told, as if by the end that is lost`() {
        var table = Self.opened()
        _ = table.pass(Self.there(.open, 2), from: Self.up, to: .child(3))
        let resets = table.lose(Self.down)
        #expect(resets.map(\.reset) == [Self.back(.reset)] && resets.map(\.to) == [Self.up])
        #expect(table.count == 1)
        let more = table.lose(Self.up)
        #expect(more.map(\.reset) == [Self.there(.reset, 2)] && more.map(\.to) == [.child(3)])
        #expect(table.count == 0)
        let again = table.lose(Self.up)
        #expect(again.isEmpty)
    }

    @Test func `A sender that goes beyond its window is stopped at the relay`() {
        var table = Self.opened()
        var passed = 0
        while table.pass(Self.back(.data, payload: 1_000), from: Self.down, to: Self.up) == .forward { passed += 1 }
        #expect(passed == StreamState.initialWindow / 1_032)
        // Each direction has its own window, and credit from the other end lets the sender go on.
        table = Self.opened()
        var total = 0
        for _ in 0..<20 {
            while total + 65_312 <= StreamState.initialWindow {
                let data = table.pass(Self.there(.data, payload: 65_280), from: Self.up, to: Self.down)
                #expect(data == .forward)
                total += 65_312
            }
            let credit = table.pass(Self.back(.credit), from: Self.down, to: Self.up, credit: 131_072)
            #expect(credit == .forward)
            total -= 131_072
        }
        let back = table.pass(Self.back(.data, payload: 65_280), from: Self.down, to: Self.up)
        #expect(back == .forward)
    }

    @Test func `What an honest neighbour would not pass on condemns its link`() {
        let cases: [(String, [(FrameHeader, Int)])] = [
            ("a second open", [(Self.there(.open), 0)]),
            ("a second end", [(Self.there(.end), 0), (Self.there(.end), 0)]),
            ("data behind the end", [(Self.there(.end), 0), (Self.there(.data), 0)]),
            ("crumbs of credit", [(Self.there(.credit), 1)]),
            ("absurd credit", [(Self.there(.credit), 0xffff_ffff)]),
            ("credit without end", (0..<4).map { _ in (Self.there(.credit), StreamState.maximumWindow) }),
        ]
        for (name, frames) in cases {
            var table = Self.opened()
            let verdicts = frames.map { table.pass($0.0, from: Self.up, to: Self.down, credit: $0.1) }
            #expect(Self.isViolation(verdicts.last!), "\(name)")
            // The owner of the link loses it, and the other end is told.
            let resets = table.lose(Self.up)
            #expect(resets.count == 1 && table.count == 0, "\(name)")
        }
    }

    @Test func `A child that opens without end takes nobody else's room`() {
        var table = RelayTable(limit: 10, limitPerChild: 4)
        func open(_ number: UInt32, from child: UInt32) -> RelayTable.Verdict {
            let source = RandomTree.address([1, child])
            let header = FrameHeader(.open, flags: .fromOpener, stream: number, to: .root, from: source)
            return table.pass(header, from: .child(child), to: .parent)
        }
        let flood = (1...100 as ClosedRange<UInt32>).filter { open($0, from: 2) == .forward }
        #expect(flood == [1, 2, 3, 4])
        let sibling = open(1, from: 3)
        #expect(sibling == .forward)
        for child in 4...9 as ClosedRange<UInt32> { for n in 1...4 as ClosedRange<UInt32> { _ = open(n, from: child) } }
        #expect(table.count == 10)
        // What comes from above has its own room, however full it is below.
        let fromAbove = (1...11 as ClosedRange<UInt32>).map {
            table.pass(Self.there(.open, $0), from: .parent, to: Self.down) == .forward
        }
        #expect(fromAbove == [Bool](repeating: true, count: 10) + [false])
        _ = table.lose(.child(2))
        let next = open(5, from: 3)
        #expect(next == .forward)
    }
}
