import MartletLink
import MartletWire
import Testing

@Suite struct OutboxTests {
    static func key(_ number: UInt32) -> StreamKey {
        StreamKey(opener: .root, acceptor: RandomTree.address([1]), number: number)
    }

    static func header(_ kind: FrameHeader.Kind, _ number: UInt32, bulk: Bool = false) -> FrameHeader {
        FrameHeader(
            kind,
            flags: bulk ? [.fromOpener, .bulk] : .fromOpener,
            stream: number,
            to: RandomTree.address([1])
        )
    }

    static func drain<Chunk>(_ box: inout Outbox<Chunk>) -> [Chunk] {
        var result: [Chunk] = []
        while let next = box.next() { result.append(next) }
        return result
    }

    @Test func `Control goes before calls and calls before bulk`() {
        var box = Outbox<Int>()
        box.append(3, .bulk, stream: Self.key(1))
        box.append(2, .call, stream: Self.key(2))
        box.append(1, .control, stream: Self.key(1))
        #expect(box.urgentCount == 2)
        #expect(Self.drain(&box) == [1, 2, 3])
        #expect(box.isEmpty && box.next() == nil)
    }

    @Test func `Calls without end do not starve bulk`() {
        var box = Outbox<Bool>()
        for _ in 0..<100 { box.append(true, .bulk, stream: Self.key(1)) }
        var bulk = 0
        for _ in 0..<1_700 {
            while box.urgentCount < 3 { box.append(false, .call, stream: Self.key(2)) }
            if box.next() == true { bulk += 1 }
        }
        #expect(bulk == 100)
    }

    @Test func `Bulk streams take turns and each keeps its order`() {
        var random = SeededGenerator(seed: 12)
        var box = Outbox<(UInt32, Int)>()
        var sent = [Int](repeating: 0, count: 9)
        var got = [Int](repeating: 0, count: 9)
        for stream in 1...8 as ClosedRange<UInt32> {
            for _ in 0..<50 {
                box.append((stream, sent[Int(stream)]), .bulk, stream: Self.key(stream))
                sent[Int(stream)] += 1
            }
        }
        for _ in 0..<300 {
            let (stream, number) = box.next()!
            #expect(number == got[Int(stream)])
            got[Int(stream)] += 1
            #expect(got.dropFirst().max()! - got.dropFirst().min()! <= 1)
            if Bool.random(using: &random) {
                box.append((stream, sent[Int(stream)]), .bulk, stream: Self.key(stream))
                sent[Int(stream)] += 1
            }
        }
    }

    @Test func `What is discarded is gone and disturbs no other turn`() {
        var box = Outbox<UInt32>()
        for _ in 0..<3 {
            for stream in 1...3 as ClosedRange<UInt32> { box.append(stream, .bulk, stream: Self.key(stream)) }
        }
        #expect(box.next() == 1)
        box.discard(Self.key(2))
        box.discard(Self.key(99))
        #expect(Self.drain(&box) == [3, 1, 3, 1, 3])
        #expect(box.isEmpty)
        box.append(2, .bulk, stream: Self.key(2))
        #expect(Self.drain(&box) == [2])
    }

    @Test func `A reset never arrives before what opens its stream`() {
        var box = Outbox<FrameHeader>()
        for number in 1...40 as ClosedRange<UInt32> {
            let open = Self.header(.open, number, bulk: number % 2 == 0)
            box.append(open, header: open)
        }
        for number in 1...40 as ClosedRange<UInt32> {
            let reset = Self.header(.reset, number)
            box.append(reset, header: reset)
        }
        var open: Set<UInt32> = []
        for header in Self.drain(&box) {
            if header.kind == .open { open.insert(header.stream) } else { open.remove(header.stream) }
        }
        #expect(open.isEmpty)
    }

    @Test func `An end that does not say it is bulk still waits behind the bulk of its stream`() {
        var box = Outbox<FrameHeader.Kind>()
        box.append(.open, header: Self.header(.open, 1, bulk: true))
        box.append(.data, header: Self.header(.data, 1, bulk: true))
        box.append(.end, header: Self.header(.end, 1))
        #expect(Self.drain(&box) == [.open, .data, .end])
    }

    @Test func `The frames of a stream keep their order, whatever else is sent`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var box = Outbox<(FrameHeader, Int)>()
            var next: [UInt32: Int] = [:]
            var got: [UInt32: Int] = [:]
            func check(_ chunk: (FrameHeader, Int)?) {
                guard let (header, number) = chunk else { return }
                #expect(number == got[header.stream, default: 0])
                got[header.stream] = number + 1
            }
            for _ in 0..<2_000 {
                let stream = UInt32.random(in: 1...12, using: &random)
                let number = next[stream, default: 0]
                let kind: FrameHeader.Kind = number == 0 ? .open : number == 30 ? .end : .data
                if number <= 30, Int.random(in: 0..<3, using: &random) > 0 {
                    let header = Self.header(kind, stream, bulk: stream % 3 == 0)
                    box.append((header, number), header: header)
                    next[stream] = number + 1
                } else {
                    check(box.next())
                }
            }
            while let chunk = box.next() { check(chunk) }
            #expect(got == next)
        }
    }
}
