import Testing

@testable import MartletWire

/// Encodes by a closure, so that a test can use containers in any way.
private struct By: Encodable {
    var body: (any Encoder) throws -> Void
    init(_ body: @escaping (any Encoder) throws -> Void) { self.body = body }
    func encode(to encoder: any Encoder) throws { try body(encoder) }
}

private typealias Key = CBORCodingKey

extension CBORCodingKey: ExpressibleByStringLiteral {
    /// For tests only.
    public init(stringLiteral value: String) { self.init(stringValue: value) }
}

@Suite struct CBORContainerTests {
    private func encode(_ body: @escaping (any Encoder) throws -> Void) throws -> AnyShape {
        try CBORDecoder().decode(AnyShape.self, from: CBOREncoder().encode(By(body)))
    }

    private func encodeInside(_ body: @escaping (any Encoder) throws -> Void) throws -> AnyShape {
        try CBORDecoder().decode(AnyShape.self, from: CBOREncoder().encode(["x": [By(body)]]))
    }

    @Test("Two nested containers may be written in turns, at any nesting and count")
    func interleaved() throws {
        let body: (any Encoder) throws -> Void = { encoder in
            var outer = encoder.container(keyedBy: Key.self)
            var a = outer.nestedUnkeyedContainer(forKey: "a")
            var b = outer.nestedContainer(keyedBy: Key.self, forKey: "b")
            var inner = b.nestedUnkeyedContainer(forKey: "inner")
            for number in 0..<40 {
                try a.encode(number)
                try inner.encode("i\(number)")
                try b.encode(number, forKey: Key(stringValue: "b\(number)"))
                try outer.encode([number], forKey: Key(stringValue: "o\(number)"))
                var late = a.nestedUnkeyedContainer()
                try late.encode(number)
                try a.encodeNil()
                try late.encode(Optional(-number))
            }
            #expect(a.count == 120)
            #expect(inner.codingPath.map(\.stringValue).suffix(2) == ["b", "inner"])
        }
        var b: [String: AnyShape] = ["inner": .array((0..<40).map { .text("i\($0)") })]
        var outer: [String: AnyShape] = [:]
        for number in 0..<40 {
            b["b\(number)"] = .int(number)
            outer["o\(number)"] = .array([.int(number)])
        }
        outer["a"] = .array((0..<40).flatMap { [.int($0), .array([.int($0), .int(-$0)]), AnyShape.none] })
        outer["b"] = .map(b)
        #expect(try encode(body) == .map(outer))
        #expect(try encodeInside(body) == .map(["x": .array([.map(outer)])]))
    }

    @Test("Super encoders may be used at once, later or never")
    func superEncoders() throws {
        let body: (any Encoder) throws -> Void = { encoder in
            var outer = encoder.container(keyedBy: Key.self)
            let first = outer.superEncoder()
            let second = outer.superEncoder(forKey: "second")
            var list = outer.nestedUnkeyedContainer(forKey: "list")
            let third = list.superEncoder()
            _ = list.superEncoder()
            try outer.encode(1, forKey: "one")
            try "third".encode(to: third)
            try ["x": 1].encode(to: second)
            var inFirst = first.container(keyedBy: Key.self)
            try inFirst.encode(2, forKey: "two")
            try list.encode(3)
            #expect(third.codingPath.suffix(2).map(\.stringValue) == ["list", "Index 0"])
        }
        let expected = AnyShape.map([
            "super": .map(["two": .int(2)]), "second": .map(["x": .int(1)]), "one": .int(1),
            "list": .array([.text("third"), .map([:]), .int(3)]),
        ])
        #expect(try encode(body) == expected)
        #expect(try encodeInside(body) == .map(["x": .array([expected])]))
    }

    @Test("A class and its base share an encoder, or use the super encoder")
    func inheritance() throws {
        class Base: Codable {
            var a = 1
            init() {}
        }
        final class Shared: Base {
            var b = 2
            override init() { super.init() }
            required init(from decoder: any Decoder) throws {
                b = try decoder.container(keyedBy: Key.self).decode(Int.self, forKey: "b")
                try super.init(from: decoder)
            }
            override func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                try container.encode(b, forKey: "b")
                try super.encode(to: encoder)
            }
        }
        final class Nested: Base {
            var b = 2
            override init() { super.init() }
            required init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: Key.self)
                b = try container.decode(Int.self, forKey: "b")
                try super.init(from: container.superDecoder())
            }
            override func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                try super.encode(to: container.superEncoder())
                try container.encode(b, forKey: "b")
            }
        }
        let shared = Shared()
        (shared.a, shared.b) = (5, 6)
        #expect(try hex(CBOREncoder().encode(shared)) == "a2616206616105")
        let sharedCopy = try roundTrip([shared])[0]
        #expect(sharedCopy.a == 5 && sharedCopy.b == 6)
        let nested = Nested()
        (nested.a, nested.b) = (7, 8)
        #expect(try hex(CBOREncoder().encode(nested)) == "a2657375706572a1616107616208")
        let nestedCopy = try roundTrip(nested)
        #expect(nestedCopy.a == 7 && nestedCopy.b == 8)
    }

    @Test("Bytes written as a sequence of elements are a byte string, until something else comes")
    func bytesAsElements() throws {
        let onlyBytes = By { encoder in
            var container = encoder.unkeyedContainer()
            try container.encode(contentsOf: [1, 2] as [UInt8])
            try container.encode(contentsOf: [UInt8](repeating: 3, count: 30)[...])
        }
        #expect(try hex(CBOREncoder().encode(onlyBytes)) == "58200102" + String(repeating: "03", count: 30))
        let mixed = try encode { encoder in
            var container = encoder.unkeyedContainer()
            try container.encode(contentsOf: [UInt8](repeating: 200, count: 30))
            try container.encode("x")
            try container.encode(contentsOf: [1] as [UInt8])
            var nested = container.nestedUnkeyedContainer()
            try nested.encode(contentsOf: [2] as [UInt8])
            try container.encodeNil()
            try nested.encode(contentsOf: [3] as [UInt8])
        }
        let twoHundred = [AnyShape](repeating: .int(200), count: 30)
        #expect(mixed == .array(twoHundred + [.text("x"), .int(1), .array([.int(2), .int(3)]), .none]))
    }

    @Test("An element that fails leaves no trace in its container")
    func failingElement() throws {
        let failing = By { encoder in
            var container = encoder.container(keyedBy: Key.self)
            var nested = container.nestedUnkeyedContainer(forKey: "n")
            try nested.encode("half")
            try container.encode(1, forKey: "late")
            try nested.encode("half")
            throw CancellationError()
        }
        let result = try encode { encoder in
            var container = encoder.container(keyedBy: Key.self)
            #expect(throws: CancellationError.self) { try container.encode(failing, forKey: "bad") }
            var list = container.nestedUnkeyedContainer(forKey: "list")
            #expect(throws: CancellationError.self) { try list.encode(failing) }
            try list.encode(1)
            try container.encode(2, forKey: "good")
        }
        #expect(result == .map(["list": .array([.int(1)]), "good": .int(2)]))
    }

    @Test("Misuse of containers is an error, not a crash")
    func misuse() throws {
        #expect(throws: EncodingError.self) {
            try CBOREncoder().encode(
                By { encoder in
                    try 1.encode(to: encoder)
                    try 2.encode(to: encoder)
                })
        }
        #expect(throws: EncodingError.self) {
            try CBOREncoder().encode(
                By { encoder in
                    var a = encoder.unkeyedContainer()
                    try a.encode(1)
                    var b = encoder.container(keyedBy: Key.self)
                    try b.encode(1, forKey: "a")
                })
        }
        var kept: (any UnkeyedEncodingContainer)?
        var keptEncoder: (any Encoder)?
        _ = try CBOREncoder().encode(
            By { encoder in
                keptEncoder = encoder
                kept = encoder.unkeyedContainer()
                try kept?.encode(1)
            })
        #expect(throws: EncodingError.self) { try kept?.encode(2) }
        #expect(throws: EncodingError.self) { try kept?.encode([Sample.Action.sync]) }
        #expect(throws: EncodingError.self) { try keptEncoder.map { try 3.encode(to: $0) } }
        _ = keptEncoder?.container(keyedBy: Key.self).codingPath
        _ = kept?.nestedUnkeyedContainer()
        _ = kept?.superEncoder()
        _ = kept?.count
    }

    @Test("A decoder that outlives its call still reads the right bytes")
    func keptDecoder() throws {
        struct Keeper: Decodable {
            var decoder: any Decoder
            init(from decoder: any Decoder) { self.decoder = decoder }
        }
        let keeper = try CBORDecoder().decode([Keeper].self, from: CBOREncoder().encode([["a", "b"], ["c"]]))
        #expect(try [String](from: keeper[0].decoder) == ["a", "b"])
        #expect(try [String](from: keeper[1].decoder) == ["c"])
    }

    @Test("Coding paths lead to the value, in errors and for those who ask")
    func codingPaths() throws {
        struct Asker: Codable {
            init() {}
            init(from decoder: any Decoder) throws {
                #expect(decoder.codingPath.map(\.stringValue) == ["list", "Index 1", "k"])
                _ = try decoder.singleValueContainer().decode(Int.self)
            }
            func encode(to encoder: any Encoder) throws {
                #expect(encoder.codingPath.map(\.stringValue) == ["list", "Index 1", "k"])
                var container = encoder.singleValueContainer()
                try container.encode(1)
            }
        }
        struct Outer: Codable { var list: [[String: Asker]] }
        _ = try roundTrip(Outer(list: [[:], ["k": Asker()]]))

        struct Typed: Codable { var a: [[String: Sample.Point]] }
        let wrong = bytes(hex: "a1616181a1616ba2617800617901")
        _ = try CBORDecoder().decode(Typed.self, from: wrong)
        func path(_ hex: String) -> [String] {
            let error = #expect(throws: DecodingError.self) {
                try CBORDecoder().decode(Typed.self, from: bytes(hex: hex))
            }
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                return context.codingPath.map(\.stringValue)
            case .keyNotFound(let key, let context):
                return context.codingPath.map(\.stringValue) + ["no " + key.stringValue]
            default:
                return []
            }
        }
        #expect(path("a1616181a1616ba261786130617901") == ["a", "Index 0", "k", "x"])
        #expect(path("a1616181a1616ba26178f6617901") == ["a", "Index 0", "k", "x"])
        #expect(path("a1616181a1616ba1617800") == ["a", "Index 0", "k", "no y"])
        #expect(path("a1616182a0a1616b80") == ["a", "Index 1", "k"])
        #expect(path("a1616100") == ["a"])
    }
}
