import MartletTestKit
import Testing

@testable import MartletWire

@Suite struct CBORMapTests {
    enum Field: Int, CodingKey { case a = 1, b = 2, missing = 3 }

    struct Probe: Decodable {
        var body: KeyedDecodingContainer<Field>
        init(from decoder: any Decoder) throws { body = try decoder.container(keyedBy: Field.self) }
    }

    private func probe(_ hex: String) throws -> KeyedDecodingContainer<Field> {
        try CBORDecoder().decode(Probe.self, from: bytes(hex: hex)).body
    }

    @Test("Keys are found by text or by number; others are skipped")
    func lookup() throws {
        for hex in ["a2616105616206", "a201050206", "a3616105617a80616206", "bf6161050206616300ff"] {
            let container = try probe(hex)
            #expect(try container.decode(Int.self, forKey: .a) == 5)
            #expect(try container.decode(Int.self, forKey: .b) == 6)
            #expect(Set(container.allKeys) == [.a, .b])
            #expect(container.contains(.a) && !container.contains(.missing))
            #expect(try container.decodeIfPresent(Int.self, forKey: .missing) == nil)
            #expect(throws: DecodingError.self) { try container.decode(Int.self, forKey: .missing) }
        }
        let odd = try probe("a58001c100020105f6f5 6162f6")
        #expect(odd.allKeys == [.a, .b])
        #expect(try odd.decode(Int.self, forKey: .a) == 5)
        #expect(try odd.contains(.b) && odd.decodeNil(forKey: .b))
        #expect(try odd.decodeIfPresent([Int].self, forKey: .b) == nil)
        #expect(throws: DecodingError.self) { try odd.decodeNil(forKey: .missing) }
        #expect(try CBORDecoder().decode([Int: String].self, from: bytes(hex: "a2016161206162")) == [1: "a", -1: "b"])
    }

    @Test(
        "A map with the same key twice is refused, in small maps and in large ones",
        arguments: ["a2616100616101", "a201001801 00", "bf616100616101ff", "a2800080 00", "a2200038 0000"])
    func duplicates(_ hex: String) {
        #expect(throws: DecodingError.self) { try probe(hex) }
    }

    @Test("Large maps find each key, and a duplicate wherever it is", arguments: [12, 13, 40, 2000])
    func largeMaps(_ count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        for duplicate in [nil, 0, count / 2] {
            var names = (0..<count).map { "key with a common start \($0)" }
            names.shuffle(using: &random)
            if let duplicate { names[count - 1] = names[duplicate] }
            var writer = CBORWriter()
            writer.writeMapHead(count)
            for name in names {
                writer.write(name)
                writer.write(name)
            }
            if duplicate == nil {
                let map = try CBORDecoder().decode([String: String].self, from: writer.bytes)
                #expect(map.count == count && map.allSatisfy { $0 == $1 })
            } else {
                #expect(throws: DecodingError.self) {
                    try CBORDecoder().decode([String: String].self, from: writer.bytes)
                }
            }
        }
    }

    @Test("Keys that are not UTF-8, or come in pieces, are refused", arguments: ["a161ff00", "a17f6161ff00"])
    func badKeys(_ hex: String) {
        #expect(throws: DecodingError.self) { try probe(hex) }
    }
}
