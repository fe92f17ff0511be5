import MartletTestKit
import Testing

@testable import MartletWire

@Suite struct FrameHeaderTests {
    static let kinds: [FrameHeader.Kind] = [
        .open, .data, .credit, .end, .reset, .hello, .welcome, .ping, .pong, .goodbye,
    ]

    static func random(_ random: inout SeededGenerator) -> FrameHeader {
        let kind = kinds.randomElement(using: &random)!
        var flags = FrameHeader.Flags(rawValue: .random(in: 0...31, using: &random)).intersection(kind.allowedFlags)
        if kind == .open {
            flags.insert(.fromOpener)
            if flags.contains(.more) { flags.remove(.last) }
        }
        let payload =
            switch kind {
            case .credit: 4
            case .open: Int.random(in: 1...FrameHeader.maximumPayload, using: &random)
            case .reset: Int.random(in: 0...ResetReason.maximumByteCount, using: &random)
            default: Int.random(in: 0...FrameHeader.maximumPayload, using: &random)
            }
        let addresses = (0..<2).map { _ in
            kind.isLinkLocal ? .root : ContextAddress(ContextAddressTests.randomComponents(&random))!
        }
        return FrameHeader(
            kind,
            flags: flags,
            stream: .random(in: 0 ... .max, using: &random),
            to: addresses[0],
            from: addresses[1],
            payloadCount: payload
        )
    }

    static func parse(_ bytes: [UInt8]) -> FrameParse { bytes.withUnsafeBytes { FrameHeader.parse($0) } }

    static func isMalformed(_ bytes: [UInt8]) -> Bool {
        if case .malformed = parse(bytes) { true } else { false }
    }

    @Test func `Every header survives, whatever follows it`() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<2_000 {
            let header = Self.random(&random)
            #expect(header.bytes.count == header.byteCount && header.byteCount <= FrameHeader.maximumByteCount)
            #expect(Self.parse(header.bytes) == .header(header, headerCount: header.byteCount))
            #expect(Self.parse(header.bytes + [0xff, 0]) == .header(header, headerCount: header.byteCount))
        }
    }

    @Test func `A header that is cut off anywhere asks for more`() {
        var random = SeededGenerator(seed: 4)
        for _ in 0..<200 {
            let bytes = Self.random(&random).bytes
            for count in 0..<bytes.count { #expect(Self.parse(Array(bytes.prefix(count))) == .incomplete) }
        }
    }

    @Test func `Any byte may be wrong, and what is taken is taken whole`() {
        var random = SeededGenerator(seed: 5)
        var failures = 0
        for _ in 0..<40 {
            let bytes = Self.random(&random).bytes
            for index in bytes.indices {
                for value in UInt8.min ... .max {
                    var mutated = bytes
                    mutated[index] = value
                    // What parses means exactly the bytes it was read from: no two forms of one header.
                    if case .header(let header, let count) = Self.parse(mutated),
                        header.bytes != Array(mutated.prefix(count))
                    {
                        failures += 1
                    }
                }
            }
        }
        #expect(failures == 0)
    }

    @Test func `Random bytes never trap`() {
        var random = SeededGenerator(seed: 6)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...80, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            if count > 9, Bool.random(using: &random) {
                bytes[0] = Self.kinds.randomElement(using: &random)!.rawValue
                bytes[1] &= 31
                bytes[8] &= 7
                bytes[9] &= 7
            }
            if case .header(let header, let used) = Self.parse(bytes) {
                #expect(header.bytes == Array(bytes.prefix(used)))
            }
        }
    }

    @Test func `A shallow tree's headers need at most 24 bytes`() throws {
        let deep = try #require(ContextAddress([127, 127, 127, 127, 127, 127, 127]))
        let wide = try #require(ContextAddress([2_000_000, 16_383, 100, 100]))
        #expect(FrameHeader(.data, to: deep, from: wide).byteCount == 24)
        #expect(FrameHeader(.ping).byteCount == 10)
    }

    @Test func `The layout is that of the protocol's page`() throws {
        let header = FrameHeader(
            .data,
            flags: [.fromOpener, .bulk],
            stream: 0x0102_0304,
            to: try #require(ContextAddress([3, 300])),
            from: .root,
            payloadCount: 0xabc
        )
        #expect(header.bytes == [2, 9, 0x0a, 0xbc, 1, 2, 3, 4, 3, 0, 3, 0xac, 2])
    }

    @Test func `The longest frame stays below 64 KiB`() {
        #expect(FrameHeader.maximumByteCount + FrameHeader.maximumPayload < 65_536)
        var bytes = FrameHeader(.data, payloadCount: FrameHeader.maximumPayload).bytes
        bytes[3] += 1
        #expect(Self.isMalformed(bytes))
    }

    @Test func `A flag where it means nothing is an error`() {
        for kind in Self.kinds {
            let payload = kind == .credit ? 4 : kind == .open ? 1 : 0
            let needed: FrameHeader.Flags = kind == .open ? .fromOpener : []
            for raw in UInt8.min ... .max {
                let flags = FrameHeader.Flags(rawValue: raw)
                var bytes = FrameHeader(kind, flags: needed, payloadCount: payload).bytes
                bytes[1] = raw
                let isLegal =
                    kind.allowedFlags.isSuperset(of: flags) && flags.isSuperset(of: needed)
                    && !(kind == .open && flags.isSuperset(of: [.more, .last]))
                #expect(Self.isMalformed(bytes) == !isLegal)
            }
        }
    }

    @Test func `Frames that cost no credit are small`() {
        for count in [0, 3, 5, 65_280] { #expect(Self.isMalformed(FrameHeader(.credit, payloadCount: count).bytes)) }
        #expect(Self.isMalformed(FrameHeader(.reset, payloadCount: ResetReason.maximumByteCount + 1).bytes))
        #expect(!Self.isMalformed(FrameHeader(.reset, payloadCount: ResetReason.maximumByteCount).bytes))
    }

    @Test func `Who opens a stream says of which kind, or says nothing`() {
        #expect(Self.isMalformed(FrameHeader(.open, flags: .fromOpener).bytes))
        #expect(!Self.isMalformed(FrameHeader(.open, flags: .fromOpener, payloadCount: 1).bytes))
        for kind in [.data, .end] as [FrameHeader.Kind] { #expect(!Self.isMalformed(FrameHeader(kind).bytes)) }
    }

    @Test func `A link's own frames carry no addresses`() throws {
        let child = try #require(ContextAddress([1]))
        for kind in Self.kinds where kind.isLinkLocal {
            #expect(Self.isMalformed(FrameHeader(kind, to: child).bytes))
            #expect(Self.isMalformed(FrameHeader(kind, from: child).bytes))
        }
    }

    @Test func `Both ends and every relay name a stream the same`() throws {
        let opener = try #require(ContextAddress([1, 2]))
        let acceptor = try #require(ContextAddress([1, 2, 3]))
        let there = FrameHeader(.data, flags: .fromOpener, stream: 7, to: acceptor, from: opener)
        let back = FrameHeader(.data, stream: 7, to: opener, from: acceptor)
        #expect(there.streamKey == StreamKey(opener: opener, acceptor: acceptor, number: 7))
        #expect(there.streamKey == back.streamKey)
        #expect(there.streamKey.hashValue == back.streamKey.hashValue)
        // The other end's own stream with the same number is another stream.
        let other = FrameHeader(.data, flags: .fromOpener, stream: 7, to: opener, from: acceptor)
        #expect(other.streamKey != there.streamKey)
    }
}
