import MartletTestKit
import Testing

@testable import MartletWire

/// Bytes from someone who means harm: the answer is a value or an error, soon, and never a trap.
@Suite struct CBORHostileTests {
    private indirect enum Chain: Codable { case end, next(Chain) }

    private final class Nest: Codable {
        var inner: [Nest]
        init(_ inner: [Nest]) { self.inner = inner }
        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            inner = []
            while !container.isAtEnd { inner.append(try container.decode(Nest.self)) }
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            for nest in inner { try container.encode(nest) }
        }
    }

    /// Decodes as every type, or as the one whose turn it is; true if the bytes are a well-formed item.
    @discardableResult
    private func tryDecoding(_ bytes: [UInt8], turn: Int? = nil) -> Bool {
        let isWellFormed = (try? CBORReader.read(bytes) { try $0.skip() }) != nil
        let types: [any Decodable.Type] = [
            Sample.self, AnyShape.self, [UInt8].self, [Int].self, [String: AnyShape].self, String.self, Double.self,
            [Sample.Action?].self, [Sample.Point: [UInt8]].self, Chain.self, Int128.self, UInt64?.self, Nest.self,
            CBORValue.self,
        ]
        for (index, type) in types.enumerated() where turn.map({ $0 % types.count == index }) ?? true {
            if (try? CBORDecoder().decode(type, from: bytes)) != nil, !isWellFormed {
                Issue.record("\(type) came out of malformed \(hex(bytes))")
            }
        }
        return isWellFormed
    }

    private static let encodings: [[UInt8]] = {
        var random = SeededGenerator(seed: 1)
        var result = (CBORAppendixATests.scalars + CBORAppendixATests.containers).map { bytes(hex: $0.hex) }
        let small = Sample(
            id: -300, name: "n\u{e9}", flag: nil, kind: .fancy, data: [1, 2], points: [.init(x: 1.5, y: 0.1)],
            actions: [.put(path: "/", mode: 7), .sync], byNumber: [4: [4]], byPoint: [.init(x: 0, y: 1): "p"],
            maybe: [nil, 70_000], big: .max
        )
        if let bytes = try? CBOREncoder().encode(small) { result.append(bytes) }
        return result
    }()

    @Test("No proper prefix of an encoding is one")
    func prefixes() {
        for encoding in Self.encodings {
            for length in 0..<encoding.count { #expect(!tryDecoding(Array(encoding[..<length]))) }
            #expect(!tryDecoding(encoding + [0]))
        }
    }

    @Test("Every change of one byte gives a value or an error")
    func mutations() {
        for encoding in Self.encodings {
            for index in encoding.indices {
                var changed = encoding
                for byte in UInt8.min...UInt8.max {
                    changed[index] = byte
                    tryDecoding(changed, turn: index + Int(byte))
                    if encoding.count > 64, byte % 4 == 0 { tryDecoding(changed, turn: 0) }
                }
            }
        }
    }

    @Test("Random bytes give a value or an error", arguments: 0..<8 as Range<UInt64>)
    func random(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        // Bytes that start small containers, strings and numbers, so that more inputs get past their first items.
        let likely: [UInt8] = [
            0, 1, 0x20, 0x41, 0x61, 0x62, 0x81, 0x82, 0x9f, 0xa1, 0xa2, 0xbf, 0xff, 0xc2, 0xf6, 0xf9,
        ]
        for round in 0..<25_000 {
            let bytes = (0..<Int.random(in: 1...24, using: &random)).map { _ in
                round % 4 == 0 || Int.random(in: 0..<4, using: &random) == 0
                    ? UInt8.random(in: 0...255, using: &random) : likely.randomElement(using: &random)!
            }
            tryDecoding(bytes, turn: round)
        }
    }

    @Test(
        "A million levels are refused at the limit",
        arguments: [0x81, 0x9f, 0xa1, 0xbf, 0xc1, 0xd8, 0x5f, 0x7f] as [UInt8])
    func deep(_ head: UInt8) {
        let pattern: [UInt8] =
            switch head {
            case 0xa1, 0xbf: [head, 0x61, 0x61]
            case 0xd8: [head, 99]
            default: [head]
            }
        let bytes = Array(repeatElement(pattern, count: 1_000_000).joined()) + [0]
        #expect(!tryDecoding(bytes))
        // As the value of a key that nobody asks for, and of one that somebody does.
        #expect(!tryDecoding([0xa1, 0x61, 0x7a] + bytes))
        #expect(!tryDecoding([0xa1, 0x64] + Array("next".utf8) + bytes))
    }

    @Test("The depth limit is the same for arrays, maps, reading, skipping and writing")
    func depthLimit() throws {
        for limit in [0, 1, 2, 64] {
            let limits = CBORLimits(maximumDepth: limit)
            for (depth, fits) in [(limit, true), (limit + 1, false)] {
                let bytes = [UInt8](repeating: 0x81, count: max(depth - 1, 0)) + (depth > 0 ? [0x80] : [0x00])
                let nest = (1..<max(depth, 1)).reduce(Nest([])) { nest, _ in Nest([nest]) }
                func works(_ body: () throws -> Void) -> Bool { (try? body()) != nil }
                #expect(works { try CBORReader.read(bytes, limits: limits) { try $0.skip() } } == fits)
                #expect(works { _ = try CBORValue(decoding: bytes, limits: limits) } == fits)
                #expect(works { _ = try CBORDecoder(limits: limits).decode(AnyShape.self, from: bytes) } == fits)
                if depth > 0 {
                    #expect(works { _ = try CBORDecoder(limits: limits).decode(Nest.self, from: bytes) } == fits)
                    #expect(works { _ = try CBOREncoder(limits: limits).encode(nest) } == fits)
                }
            }
        }
        #expect(throws: EncodingError.self) {
            try CBOREncoder().encode((0..<2000).reduce(Chain.end) { chain, _ in .next(chain) })
        }
    }

    @Test(
        "Claims of length are not believed",
        arguments: [
            "9b4000000000000000", "bb4000000000000000", "5b4000000000000000", "7b4000000000000000",
            "9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff", "7b7fffffffffffffff", "9a00ffffff00",
            "ba00ffffff0000", "81bb7fffffffffffffff", "a161619b7fffffffffffffff", "5f5bffffffffffffffffff",
        ])
    func claims(_ hex: String) {
        #expect(!tryDecoding(bytes(hex: hex)))
    }

    @Test("The byte limit holds both ways")
    func byteLimit() throws {
        let limits = CBORLimits(maximumByteCount: 10)
        #expect(try roundTrip([UInt8](repeating: 0, count: 9), limits: limits).count == 9)
        #expect(throws: EncodingError.self) {
            try CBOREncoder(limits: limits).encode([UInt8](repeating: 0, count: 10))
        }
        #expect(throws: DecodingError.self) {
            try CBORDecoder(limits: limits).decode([UInt8].self, from: [0x4a] + [UInt8](repeating: 0, count: 10))
        }
    }
}
