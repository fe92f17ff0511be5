import MartletLink
import MartletTestKit
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

    static func drain(_ box: inout Outbox) -> [[UInt8]] {
        var result: [[UInt8]] = []
        while let next = box.next() { result.append(next) }
        return result
    }

    @Test func `Control goes before calls and calls before bulk`() {
        var box = Outbox()
        box.append([3], .bulk, stream: Self.key(1))
        box.append([2], .call, stream: Self.key(2))
        box.append([1], .control, stream: Self.key(1))
        #expect(box.urgentCount == 2)
        #expect(Self.drain(&box) == [[1], [2], [3]])
        #expect(box.isEmpty && box.next() == nil)
    }

    @Test func `What no credit counts is on the account of the neighbour that sent it`() {
        var box = Outbox()
        var random = SeededGenerator(seed: 4)
        func waitingData() -> [Int] { [Neighbour.parent, .child(1), .child(2)].map { box.waitingData(from: $0) } }
        func waiting() -> [Int] { [Neighbour.parent, .child(1), .child(2)].map { box.waiting(from: $0) } }
        box.append([UInt8](repeating: 0, count: 100), header: Self.header(.open, 1, bulk: true), from: .parent)
        box.append([UInt8](repeating: 0, count: 90), header: Self.header(.data, 1, bulk: true), from: .parent)
        box.append([UInt8](repeating: 0, count: 80), header: Self.header(.end, 2), from: .child(1))
        box.append([UInt8](repeating: 0, count: 70), header: Self.header(.credit, 2), from: .child(1))
        box.append([UInt8](repeating: 0, count: 60), header: Self.header(.open, 3))
        box.append([UInt8](repeating: 0, count: 40), header: Self.header(.data, 4, bulk: true), from: .child(2))
        #expect(waiting() == [100, 80, 0])
        // That of a parent may be as much as its streams' credit.
        #expect(waitingData() == [0, 0, 40] && box.relayedData == 40)
        // The reset throws the bulk away that waits of its stream.
        box.append([UInt8](repeating: 0, count: 50), header: Self.header(.reset, 1), from: .parent)
        #expect(waiting() == [50, 80, 0])
        for number in 10..<200 as Range<UInt32> {
            let kind = [.open, .data, .end, .reset].randomElement(using: &random)! as FrameHeader.Kind
            let header = Self.header(kind, number, bulk: .random(using: &random))
            box.append(
                [1, 2, 3], header: header, from: [.parent, .child(1), .child(2), nil].randomElement(using: &random)!)
            if .random(using: &random) { _ = box.next() }
        }
        _ = Self.drain(&box)
        #expect(waiting() == [0, 0, 0])
        #expect(waitingData() == [0, 0, 0] && box.relayedData == 0)
    }

    @Test func `Calls without end do not starve bulk`() {
        var box = Outbox()
        for _ in 0..<100 { box.append([1], .bulk, stream: Self.key(1)) }
        var bulk = 0
        for _ in 0..<1_700 {
            while box.urgentCount < 3 { box.append([0], .call, stream: Self.key(2)) }
            if box.next() == [1] { bulk += 1 }
        }
        #expect(bulk == 100)
    }

    @Test func `Bulk streams take turns and each keeps its order`() {
        var random = SeededGenerator(seed: 12)
        var box = Outbox()
        var sent = [UInt8](repeating: 0, count: 9)
        var got = [UInt8](repeating: 0, count: 9)
        for stream in 1...8 as ClosedRange<UInt8> {
            for _ in 0..<50 {
                box.append([stream, sent[Int(stream)]], .bulk, stream: Self.key(UInt32(stream)))
                sent[Int(stream)] += 1
            }
        }
        for _ in 0..<300 {
            let frame = box.next()!
            let (stream, number) = (frame[0], frame[1])
            #expect(number == got[Int(stream)])
            got[Int(stream)] += 1
            #expect(got.dropFirst().max()! - got.dropFirst().min()! <= 1)
            if Bool.random(using: &random) {
                box.append([stream, sent[Int(stream)]], .bulk, stream: Self.key(UInt32(stream)))
                sent[Int(stream)] += 1
            }
        }
    }

    @Test func `What is discarded is gone and disturbs no other turn`() {
        var box = Outbox()
        for _ in 0..<3 {
            for stream in 1...3 as ClosedRange<UInt8> { box.append([stream], .bulk, stream: Self.key(UInt32(stream))) }
        }
        #expect(box.next() == [1])
        box.discard(Self.key(2))
        box.discard(Self.key(99))
        #expect(Self.drain(&box) == [[3], [1], [3], [1], [3]])
        #expect(box.isEmpty)
        box.append([2], .bulk, stream: Self.key(2))
        #expect(Self.drain(&box) == [[2]])
    }

    @Test func `A great many streams that are discarded take no time each`() {
        var box = Outbox()
        let count: UInt32 = 100_000
        for number in 1...count { box.append([1], .bulk, stream: Self.key(number)) }
        // All but one, in the order that would be the slowest to search.
        for number in (2...count).reversed() { box.discard(Self.key(number)) }
        box.append([2], .bulk, stream: Self.key(count))
        #expect(Self.drain(&box) == [[1], [2]])
        #expect(box.isEmpty)
    }

    @Test func `A reset that is bulk lets what its stream has sent go first`() {
        var box = Outbox()
        for kind in [.open, .data, .data, .reset] as [FrameHeader.Kind] {
            let header = Self.header(kind, 1, bulk: true)
            box.append([kind.rawValue], header: header)
        }
        box.append([9], header: Self.header(.open, 2))
        #expect(Self.drain(&box).map { $0[0] } == [9, 1, 2, 2, 5])
        // Where nothing waits it goes as any other.
        box.append([5], header: Self.header(.reset, 1, bulk: true))
        #expect(box.urgentCount == 1)
    }

    @Test func `A reset never arrives before what opens its stream`() {
        var box = Outbox()
        for number in 1...40 as ClosedRange<UInt32> {
            var open = Self.header(.open, number, bulk: number % 2 == 0)
            open.payloadCount = 1
            box.append(open.bytes, header: open)
        }
        for number in 1...40 as ClosedRange<UInt32> {
            let reset = Self.header(.reset, number)
            box.append(reset.bytes, header: reset)
        }
        var open: Set<UInt32> = []
        for frame in Self.drain(&box) {
            guard case .header(let header, _) = frame.withUnsafeBytes({ FrameHeader.parse($0) }) else {
                Issue.record("a frame that cannot be read")
                continue
            }
            if header.kind == .open { open.insert(header.stream) } else { open.remove(header.stream) }
        }
        #expect(open.isEmpty)
    }

    @Test func `An end that does not say it is bulk still waits behind the bulk of its stream`() {
        var box = Outbox()
        box.append([1], header: Self.header(.open, 1, bulk: true))
        box.append([2], header: Self.header(.data, 1, bulk: true))
        box.append([3], header: Self.header(.end, 1))
        #expect(Self.drain(&box) == [[1], [2], [3]])
    }

    @Test func `The frames of a stream keep their order, whatever else is sent`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var box = Outbox()
            var next: [UInt8: UInt8] = [:]
            var got: [UInt8: UInt8] = [:]
            func check(_ frame: [UInt8]?) {
                guard let frame else { return }
                #expect(frame[1] == got[frame[0], default: 0])
                got[frame[0]] = frame[1] + 1
            }
            for _ in 0..<2_000 {
                let stream = UInt8.random(in: 1...12, using: &random)
                let number = next[stream, default: 0]
                let kind: FrameHeader.Kind = number == 0 ? .open : number == 30 ? .end : .data
                if number <= 30, Int.random(in: 0..<3, using: &random) > 0 {
                    let header = Self.header(kind, UInt32(stream), bulk: stream % 3 == 0)
                    box.append([stream, number], header: header)
                    next[stream] = number + 1
                } else {
                    check(box.next())
                }
            }
            while let frame = box.next() { check(frame) }
            #expect(got == next)
        }
    }
}
