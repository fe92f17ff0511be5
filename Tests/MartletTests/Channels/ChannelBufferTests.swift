import MartletLink
import Testing

@testable import Martlet

@Suite struct ChannelBufferTests {
    private static func item(_ bytes: [UInt8]) -> [UInt8] {
        let count = UInt32(bytes.count)
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + bytes
    }

    /// Takes what is there.
    private static func takeAll(_ buffer: inout ChannelBuffer) -> [[UInt8]] {
        var items: [[UInt8]] = []
        while case .item(let item) = buffer.takeItem() { items.append(Array(item)) }
        return items
    }

    @Test(arguments: 1...40)
    func `Items come out whole, however the bytes are cut`(cut: Int) {
        let items: [[UInt8]] = [[], [1], [2, 3], Array(repeating: 4, count: 29), [], Array(0..<200), [9]]
        let bytes = items.flatMap(Self.item)
        var buffer = ChannelBuffer()
        var taken: [[UInt8]] = []
        var pieces = 0
        for start in stride(from: 0, to: bytes.count, by: cut) {
            bytes[start..<min(bytes.count, start + cut)].withUnsafeBytes { buffer.append(payload: $0) }
            pieces += 1
            taken += Self.takeAll(&buffer)
        }
        #expect(taken == items)
        #expect(buffer.isEmpty)
        // All credit comes back: one payload of that many bytes costs what all the pieces cost.
        do {
            let freed = buffer.takeFreed()
            #expect(freed == bytes.count + (pieces - 1) * StreamState.frameCost)
        }
        do {
            let freed = buffer.takeFreed()
            #expect(freed == nil)
        }
    }

    @Test func `Credit comes back when a piece is taken, not before`() {
        var buffer = ChannelBuffer()
        (Self.item([1, 2]) + Self.item([3])).withUnsafeBytes { buffer.append(payload: $0) }
        guard case .item = buffer.takeItem() else { return #expect(Bool(false)) }
        do {
            let freed = buffer.takeFreed()
            #expect(freed == nil)
        }
        guard case .item = buffer.takeItem() else { return #expect(Bool(false)) }
        do {
            let freed = buffer.takeFreed()
            #expect(freed == 11)
        }
    }

    @Test func `An empty frame costs too`() {
        var buffer = ChannelBuffer()
        buffer.append(payload: UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(buffer.isEmpty)
        do {
            let freed = buffer.takeFreed()
            #expect(freed == 0)
        }
    }

    @Test func `A length that no honest writer claims is found before anything is gathered`() {
        for head: [UInt8] in [[0x04, 0, 0, 1], [0xff, 0xff, 0xff, 0xfe]] {
            var buffer = ChannelBuffer()
            head[..<2].withUnsafeBytes { buffer.append(payload: $0) }
            guard case .incomplete = buffer.takeItem() else { return #expect(Bool(false)) }
            head[2...].withUnsafeBytes { buffer.append(payload: $0) }
            guard case .tooLarge = buffer.takeItem() else { return #expect(Bool(false)) }
        }
    }

    @Test func `Behind the finish mark there is nothing, every time`() {
        var buffer = ChannelBuffer()
        buffer.append(item: Self.item([5]))
        buffer.append(item: ChannelBuffer.finishMark)
        let hasItem = buffer.hasItem()
        let taken = Self.takeAll(&buffer)
        #expect(hasItem && taken == [[5]])
        for _ in 0..<3 {
            let hasItem = buffer.hasItem()
            #expect(hasItem)
            guard case .finish = buffer.takeItem() else { return #expect(Bool(false)) }
        }
    }

    @Test func `A gathered beginning goes back to where it was`() {
        let bytes = Self.item(Array(0..<100)) + Self.item([7])
        var buffer = ChannelBuffer()
        bytes[..<50].withUnsafeBytes { buffer.append(payload: $0) }
        guard case .incomplete = buffer.takeItem() else { return #expect(Bool(false)) }
        buffer.putBackPart()
        bytes[50...].withUnsafeBytes { buffer.append(payload: $0) }
        var all: [UInt8] = []
        while let front = buffer.first(33) {
            all += front
            buffer.advance(front.count)
        }
        #expect(all == bytes)
    }

    @Test func `Throwing all away gives all credit back`() {
        var buffer = ChannelBuffer()
        for _ in 0..<5 { Self.item([1, 2, 3, 4]).withUnsafeBytes { buffer.append(payload: $0) } }
        buffer.append(item: Self.item([1]))
        buffer.discardAll()
        #expect(buffer.isEmpty)
        do {
            let freed = buffer.takeFreed()
            #expect(freed == 5 * 8 + 4 * StreamState.frameCost)
        }
    }
}
