import MartletTestKit
import Testing

@testable import MartletWire

@Suite struct CBORShapeTests {
    struct Empty: Codable, Hashable {}

    struct Silent: Codable, Hashable {
        init() {}
        init(from decoder: any Decoder) {}
        func encode(to encoder: any Encoder) {}
    }

    struct Holder<T: Codable & Hashable>: Codable, Hashable {
        var before: Int?
        var value: T
        var after: String?
    }

    struct Optionals: Codable, Hashable {
        var a: Int?
        var b: String?
        var c: [UInt8]?
        var d: Empty?
        var e: [Int?]
    }

    indirect enum Tree: Codable, Hashable {
        case leaf, node(Tree, value: Int, Tree)
    }

    final class Link: Codable {
        var value: Int
        var next: Link?
        init(_ value: Int, _ next: Link?) {
            self.value = value
            self.next = next
        }
    }

    struct Version: Hashable, Codable, CodingKeyRepresentable {
        var text: String
        var codingKey: any CodingKey { CBORCodingKey(stringValue: text) }
        init(text: String) { self.text = text }
        init?<T: CodingKey>(codingKey: T) { text = codingKey.stringValue }
    }

    private func check<T: Codable & Hashable>(_ value: T, _ at: SourceLocation = #_sourceLocation) throws {
        #expect(try roundTrip(value) == value, sourceLocation: at)
        #expect(try roundTrip([value, value]) == [value, value], sourceLocation: at)
        #expect(try roundTrip(["k": value]) == ["k": value], sourceLocation: at)
        let holder = Holder(before: 1, value: value, after: nil)
        #expect(try roundTrip(holder) == holder, sourceLocation: at)
        #expect(try roundTrip(Optional(value)) == value, sourceLocation: at)
        #expect(try roundTrip([value, nil]) == [value, nil], sourceLocation: at)
    }

    @Test("Numbers of every width keep their value at their limits")
    func integers() throws {
        func limits<I: FixedWidthInteger & Codable>(_: I.Type) throws {
            for value in [I.min, .max, 0, 1, I.max / 2, I.min / 2, 23, 24] { try check(value) }
        }
        try limits(Int.self); try limits(Int8.self); try limits(Int16.self); try limits(Int32.self)
        try limits(Int64.self); try limits(Int128.self); try limits(UInt.self); try limits(UInt8.self)
        try limits(UInt16.self); try limits(UInt32.self); try limits(UInt64.self); try limits(UInt128.self)
        #expect(try CBOREncoder().encode(Int128(UInt64.max)) == bytes(hex: "1bffffffffffffffff"))
        #expect(try CBOREncoder().encode(Int128(UInt64.max) + 1) == bytes(hex: "c249010000000000000000"))
        #expect(try CBOREncoder().encode(Int64.min) == bytes(hex: "3b7fffffffffffffff"))
    }

    @Test("A number that does not fit in its type is an error that names both")
    func outOfRange() throws {
        let error = #expect(throws: DecodingError.self) {
            try CBORDecoder().decode([Int8].self, from: [0x81, 0x18, 0x80])
        }
        guard case .dataCorrupted(let context) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.codingPath.map(\.intValue) == [0])
        #expect(context.debugDescription.contains("Int8") && context.debugDescription.contains("byte 1"))
        for (hex, type) in [
            ("20", UInt8.self as any Decodable.Type), ("1b8000000000000000", Int.self),
            ("c249010000000000000000", Int64.self), ("c25100ffffffffffffffffffffffffffffffff", Int128.self),
            ("c251ffffffffffffffffffffffffffffffffff", UInt128.self), ("fb7e37e43c8800759c", Float.self),
            ("1bfffffffffffffffe", Double.self),
        ] {
            #expect(throws: DecodingError.self, "\(hex)") { try CBORDecoder().decode(type, from: bytes(hex: hex)) }
        }
        #expect(try CBORDecoder().decode(Int8.self, from: bytes(hex: "c24200 05")) == 5)
        #expect(try CBORDecoder().decode(Double.self, from: bytes(hex: "3863")) == -100)
    }

    @Test("Floating-point numbers keep every bit in their shortest form")
    func floats() throws {
        for value in [
            0, -0.0, 1.5, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1,
            0x1p-24, 0x1.8p-24, 0x1p-14, 0x1.ffcp-15, 65504, 65505, Double(Float.leastNonzeroMagnitude),
            Double(Float.greatestFiniteMagnitude), .pi,
        ] {
            #expect(try roundTrip(value).bitPattern == value.bitPattern)
            #expect(try roundTrip([value])[0].bitPattern == value.bitPattern)
            #expect(try roundTrip(Float(value)).bitPattern == Float(value).bitPattern)
        }
        for bits: UInt64 in [0x7ff8 << 48, 0xfff8 << 48, 0x7ff0_0000_0000_0001, 0x7ff4 << 48, 0x7ff8_0000_2000_0000] {
            #expect(try roundTrip(Double(bitPattern: bits)).bitPattern == bits)
        }
        #expect(try CBOREncoder().encode(Float.nan) == [0xf9, 0x7e, 0])
        for bits in UInt16.min...UInt16.max {
            #expect(CBORFloat.half(CBORFloat.widen(half: bits)) == bits)
        }
    }

    @Test("Bytes are byte strings wherever they stand")
    func byteStrings() throws {
        let content: [UInt8] = [1, 2, 200]
        #expect(try CBOREncoder().encode(content) == [0x43, 1, 2, 200])
        #expect(try CBOREncoder().encode(ContiguousArray(content)) == [0x43, 1, 2, 200])
        #expect(try CBOREncoder().encode(Optional(content)) == [0x43, 1, 2, 200])
        #expect(try CBOREncoder().encode([content, nil]) == [0x82, 0x43, 1, 2, 200, 0xf6])
        #expect(try CBOREncoder().encode(["a": content]) == [0xa1, 0x61, 0x61, 0x43, 1, 2, 200])
        try check(content); try check(ContiguousArray(content)); try check([UInt8]())
        try check([UInt8](repeating: 9, count: 100_000))
        for hex in ["83010218c8", "9f010218c8ff", "5f41014202c8ff", "d84043 0102c8", "d840830102 18c8"] {
            #expect(try CBORDecoder().decode([UInt8].self, from: bytes(hex: hex)) == content)
            #expect(try CBORDecoder().decode([[UInt8]].self, from: [0x81] + bytes(hex: hex)) == [content])
        }
        #expect(throws: DecodingError.self) { try CBORDecoder().decode([UInt8].self, from: [0x81, 0x19, 1, 0]) }
    }

    @Test("The ordinary shapes round trip")
    func shapes() throws {
        try check(true); try check(""); try check("a\u{301}\u{1f426}\0"); try check(Empty()); try check(Silent())
        try check([Int]()); try check([String: Int]()); try check([1, 2, 3]); try check(["a", ""]); try check([0.1])
        try check(Set(["a", "b"])); try check([1: "a", -2: "b"]); try check([Sample.Point(x: 1, y: 2): 3])
        try check([Version(text: "1.2"): 3]); try check(1..<5); try check(Duration.milliseconds(1500))
        try check(Sample.Action.put(path: "/", mode: nil)); try check(Sample.Action.remove("x"))
        try check(Sample.Action.sync); try check(["05": 1, "5": 2, "+5": 3]); try check(Sample.Kind.fancy)
        try check(Optionals(a: nil, b: "x", c: nil, d: Empty(), e: [1, nil]))
        try check(Optionals(a: 1, b: nil, c: [1], d: nil, e: []))
        try check(Tree.node(.node(.leaf, value: 1, .leaf), value: 2, .leaf))
        try check([[[1], []], []]); try check([Optional<[UInt8]>.none, [1]])
        try check(["a": ["b": [AnyShape.int(1), .none, .map(["x": .double(0.5)])]]])
        try check(CBORValue.tagged(99, .array([.simple(5), .undefined])))
        let list = try roundTrip((0..<50).reduce(nil as Link?) { Link($1, $0) })
        #expect(Array(sequence(first: list!, next: \.next).map(\.value)) == (0..<50).reversed())
    }

    @Test("Containers of any count have the shortest definite head", arguments: [0, 1, 23, 24, 255, 256, 65535, 65536])
    func counts(_ count: Int) throws {
        let array = (0..<count).map { Optional($0) }
        let encoded = try CBOREncoder().encode(array)
        #expect(encoded == CBORValue.array(array.map { .unsigned(UInt64($0!)) }).encoded)
        #expect(try CBORDecoder().decode([Int?].self, from: encoded) == array)
        #expect(try CBORDecoder().decode([Int].self, from: encoded).count == count)
        let map = Dictionary(uniqueKeysWithValues: (0..<count).map { ("key \($0)", $0) })
        #expect(try roundTrip(map) == map)
    }

    @Test("Encoding appends, and leaves the buffer as it was when it fails")
    func appending() throws {
        struct Failing: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.unkeyedContainer()
                try container.encode("some")
                throw CancellationError()
            }
        }
        var buffer: [UInt8] = [9]
        try CBOREncoder().encode("a", into: &buffer)
        try CBOREncoder().encode(Empty(), into: &buffer)
        #expect(throws: CancellationError.self) { try CBOREncoder().encode(Failing(), into: &buffer) }
        #expect(buffer == [9, 0x61, 0x61, 0xa0])
    }

    @Test("Random values round trip", arguments: 0..<50 as Range<UInt64>)
    func random(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let sample = Sample.make(&random)
            #expect(try roundTrip(sample) == sample)
        }
    }
}
