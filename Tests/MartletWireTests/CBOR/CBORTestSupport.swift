import MartletTestKit

@testable import MartletWire

func bytes(hex: String) -> [UInt8] {
    var result: [UInt8] = []
    var rest = Substring(hex.filter { $0 != " " })
    while !rest.isEmpty {
        result.append(UInt8(rest.prefix(2), radix: 16)!)
        rest = rest.dropFirst(2)
    }
    return result
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

func roundTrip<T: Codable>(_ value: T, limits: CBORLimits = .default) throws -> T {
    try CBORDecoder(limits: limits).decode(T.self, from: CBOREncoder(limits: limits).encode(value))
}

/// Codable like the untyped JSON types that people write: it tries one shape after the other.
indirect enum AnyShape: Codable, Hashable {
    case none, bool(Bool), int(Int), double(Double), text(String)
    case array([AnyShape]), map([String: AnyShape])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .none
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if var container = try? decoder.unkeyedContainer() {
            var items: [AnyShape] = []
            while !container.isAtEnd { items.append(try container.decode(AnyShape.self)) }
            self = .array(items)
        } else {
            self = .map(try container.decode([String: AnyShape].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .none: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .map(let value): try container.encode(value)
        }
    }
}

struct Sample: Codable, Hashable {
    enum Kind: String, Codable { case plain, fancy }
    enum Action: Codable, Hashable { case put(path: String, mode: Int?), remove(String), sync }
    struct Point: Codable, Hashable { var x: Double, y: Float }

    var id: Int
    var name: String
    var flag: Bool?
    var kind: Kind
    var data: [UInt8]
    var points: [Point]
    var actions: [Action]
    var byNumber: [Int: [UInt8]]
    var byPoint: [Point: String]
    var maybe: [Int?]
    var big: UInt64

    static func make(_ random: inout SeededGenerator) -> Sample {
        func text(_ random: inout SeededGenerator) -> String {
            let alphabet = Array("abcxyz0189 \u{e9}\u{4e2d}\u{1f426}\0")
            let length = Int.random(in: 0...30, using: &random)
            return String((0..<length).map { _ in alphabet.randomElement(using: &random)! })
        }
        func list<T>(_ random: inout SeededGenerator, _ one: (inout SeededGenerator) -> T) -> [T] {
            (0..<Int.random(in: 0...30, using: &random)).map { _ in one(&random) }
        }
        func point(_ random: inout SeededGenerator) -> Point {
            Point(
                x: Bool.random(using: &random)
                    ? Double(Int8.random(in: -9...9, using: &random)) / 4
                    : Double(bitPattern: UInt64.random(in: 0..<0x7ff0 << 48, using: &random)),
                y: Float(bitPattern: UInt32.random(in: 0..<0x7f80_0000, using: &random))
            )
        }
        func integer(_ random: inout SeededGenerator) -> Int {
            Int.random(in: .min ... .max, using: &random) >> Int.random(in: 0...63, using: &random)
        }
        return Sample(
            id: integer(&random), name: text(&random), flag: [nil, true, false].randomElement(using: &random)!,
            kind: Bool.random(using: &random) ? .plain : .fancy,
            data: list(&random) { UInt8.random(in: 0...255, using: &$0) }, points: list(&random, point),
            actions: list(&random) { random in
                switch Int.random(in: 0...3, using: &random) {
                case 0: .put(path: text(&random), mode: integer(&random))
                case 1: .put(path: text(&random), mode: nil)
                case 2: .remove(text(&random))
                default: .sync
                }
            },
            byNumber: Dictionary(list(&random) { (integer(&$0), list(&$0) { _ in 7 }) }) { $1 },
            byPoint: Dictionary(list(&random) { (point(&$0), text(&$0)) }) { $1 },
            maybe: list(&random) { Bool.random(using: &$0) ? integer(&$0) : nil },
            big: UInt64.random(in: 0 ... .max, using: &random)
        )
    }
}
