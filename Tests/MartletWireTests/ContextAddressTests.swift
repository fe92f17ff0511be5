import MartletTestKit
import Testing

@testable import MartletWire

@Suite struct ContextAddressTests {
    /// The numbers around every change of the wire form's length.
    static let edges: [UInt32] = [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, .max]

    static func randomComponents(_ random: inout SeededGenerator) -> [UInt32] {
        (0..<Int.random(in: 0...5, using: &random)).map { _ in
            Bool.random(using: &random)
                ? UInt32.random(in: 1...3, using: &random) : edges.randomElement(using: &random)!
        }
    }

    static func wire(_ address: ContextAddress) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: address.byteCount) { buffer, count in
            if address.byteCount > 0 { address.write(to: UnsafeMutableRawPointer(buffer.baseAddress!)) }
            count = address.byteCount
        }
    }

    static func parse(_ bytes: [UInt8]) -> ContextAddress? { bytes.withUnsafeBytes { ContextAddress(wire: $0) } }

    @Test func `Components survive, in memory and on the wire`() throws {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let components = Self.randomComponents(&random)
            let address = try #require(ContextAddress(components))
            #expect(address.components == components)
            #expect(Self.parse(Self.wire(address)) == address)
            #expect(address.isRoot == components.isEmpty)
            #expect(address.parent?.components == (components.isEmpty ? nil : Array(components.dropLast())))
            #expect(address.description == (components.isEmpty ? "/" : components.map { "/\($0)" }.joined()))
        }
    }

    @Test func `Containment is what it is for lists of numbers`() throws {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<5_000 {
            let a = Self.randomComponents(&random)
            // Half of the pairs are related: unrelated ones alone would test little.
            let b = Bool.random(using: &random) ? a + Self.randomComponents(&random) : Self.randomComponents(&random)
            let (x, y) = try (#require(ContextAddress(a)), #require(ContextAddress(b)))
            #expect(x.contains(y) == b.starts(with: a))
            #expect(y.contains(x) == a.starts(with: b))
            #expect(x.isAncestor(of: y) == (b.starts(with: a) && a.count < b.count))
            #expect(x.childNumber(towards: y) == (b.starts(with: a) && a.count < b.count ? b[a.count] : nil))
            #expect((x == y) == (a == b))
            if a == b { #expect(x.hashValue == y.hashValue) }
        }
    }

    @Test(arguments: edges) func `A child's number may be any but zero`(number: UInt32) throws {
        let parent = try #require(ContextAddress([5, 300]))
        let child = try #require(parent.child(number))
        #expect(child.components == [5, 300, number])
        #expect(child.parent == parent)
        #expect(parent.childNumber(towards: child) == number)
        #expect(parent.child(0) == nil)
    }

    @Test func `A tree ends where an address is full`() throws {
        var deepest = ContextAddress.root
        var depth = 0
        while let next = deepest.child(127) { (deepest, depth) = (next, depth + 1) }
        #expect(depth == 31)
        #expect(Self.parse(Self.wire(deepest)) == deepest)
        #expect(Self.parse([UInt8](repeating: 1, count: 32)) == nil)
        #expect(ContextAddress([UInt32](repeating: 16_383, count: 15)) != nil)
        #expect(ContextAddress([UInt32](repeating: 16_383, count: 16)) == nil)
        #expect(ContextAddress([UInt32](repeating: .max, count: 6))?.child(1) != nil)
        #expect(ContextAddress([UInt32](repeating: .max, count: 6))?.child(128) == nil)
        // A full address differs from its neighbours in the last byte only.
        let parent = try #require(deepest.parent)
        #expect(parent.child(126) != deepest)
        #expect(parent.contains(deepest) && !deepest.contains(parent))
    }

    @Test(
        arguments: [
            [0], [1, 0], [0x80, 0], [0x80], [0x81, 0x80, 0], [0x80, 0x80, 0x80, 0x80, 0x10],
            [0xff, 0xff, 0xff, 0xff, 0x1f], [0x80, 0x80, 0x80, 0x80, 0x80, 1], [1, 0xff],
        ] as [[UInt8]]
    )
    func `A number that is zero, too long, too large or cut off is no address`(bytes: [UInt8]) {
        #expect(Self.parse(bytes) == nil)
    }

    @Test func `Every short run of bytes is refused or is the one form of its address`() {
        var accepted = 0
        var failures = 0
        func check(_ bytes: [UInt8]) {
            guard let address = Self.parse(bytes) else { return }
            accepted += 1
            if Self.wire(address) != bytes { failures += 1 }
        }
        check([])
        for a in UInt8.min ... .max {
            check([a])
            for b in UInt8.min ... .max {
                check([a, b])
                // All third bytes would take a second in a debug build; these are all the kinds there are.
                for c in [0, 1, 2, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff] as [UInt8] { check([a, b, c]) }
            }
        }
        #expect(failures == 0)
        // One number of n bytes has 127 × 128ⁿ⁻¹ values; the four third bytes that end a number end any prefix.
        let two = 127 * 127 + 128 * 127
        #expect(accepted == 1 + 127 + two + 4 * (two + 127 * 128 + 128 * 128))
    }

    @Test func `Addresses that a hostile peer picks do not collide`() {
        // Every bit of the path has to reach the hash: otherwise one child could fill a relay's table with one chain.
        var hashes: Set<Int> = []
        var count = 0
        for depth in 0..<31 {
            for number in [1, 2] as [UInt32] {
                var components = [UInt32](repeating: 1, count: 31)
                components[depth] = number
                guard number == 2 || depth == 0, let address = ContextAddress(components) else { continue }
                for stream in [
                    StreamKey(opener: address, acceptor: .root, number: 1),
                    StreamKey(opener: .root, acceptor: address, number: 1),
                ] {
                    hashes.insert(stream.hashValue)
                    count += 1
                }
            }
        }
        #expect(hashes.count == count)
        // Words that cancel each other out.
        let twin: [UInt32] = [9, 9, 9, 9, 9, 9, 9, 9]
        let many = (1...100).map { n -> ContextAddress in
            let word = [UInt32](repeating: 3, count: 7) + [UInt32(n)]
            return ContextAddress(twin + word + word)!
        }
        #expect(Set(many.map(\.hashValue)).count == 100)
    }
}
