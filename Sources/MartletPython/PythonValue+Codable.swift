import Martlet
import MartletWire

// On the wire a value is plain CBOR. What CBOR does not tell apart has a tag: see docs/PROTOCOL.md.
extension PythonValue {
    enum Tag {
        static let positive: UInt64 = 2
        static let negative: UInt64 = 3
        static let set: UInt64 = 258
        static let tuple: UInt64 = 41700
        static let frozenset: UInt64 = 41701
    }

    private static let channelKey = "martlet.channel"

    private func wire() throws -> CBORValue {
        switch self {
        case .none: return .null
        case .bool(let value): return .bool(value)
        case .int(let value): return value < 0 ? .negative(UInt64(-1 - value)) : .unsigned(UInt64(value))
        case .bigInt(let value): return value.wire
        case .float(let value): return .float(value)
        case .str(let value): return .text(value)
        case .bytes(let value): return .bytes(value)
        case .list(let items): return .array(try items.map { try $0.wire() })
        case .tuple(let items): return .tagged(Tag.tuple, .array(try items.map { try $0.wire() }))
        case .set(let items): return .tagged(Tag.set, .array(try items.map { try $0.wire() }))
        case .frozenset(let items): return .tagged(Tag.frozenset, .array(try items.map { try $0.wire() }))
        case .dict(let values): return .map(try values.map { .init(try $0.key.wire(), try $0.value.wire()) })
        case .channel(let end): return try CBORValue(decoding: CBOREncoder().encode(end))
        }
    }

    private init(_ wire: CBORValue) throws {
        switch wire {
        case .null, .undefined: self = .none
        case .bool(let value): self = .bool(value)
        case .unsigned(let value): self = .integer(PythonInteger(value))
        case .negative(let value): self = .integer(PythonInteger(-1 - Int128(value)))
        case .float(let value): self = .float(value)
        case .text(let value): self = .str(value)
        case .bytes(let value): self = .bytes(value)
        case .array(let items): self = .list(try items.map(PythonValue.init))
        case .map(let pairs) where pairs.count == 1 && pairs[0].key == .text(Self.channelKey):
            self = .channel(try CBORDecoder().decode(Channel<PythonValue>.self, from: wire.encoded))
        case .map(let pairs):
            var values: [PythonValue: PythonValue] = [:]
            for pair in pairs { values[try PythonValue(pair.key)] = try PythonValue(pair.value) }
            self = .dict(values)
        case .tagged(Tag.positive, .bytes(let bytes)):
            self = .integer(PythonInteger(isNegative: false, magnitude: bytes))
        case .tagged(Tag.negative, .bytes(let bytes)):
            // The tag holds -1 - n.
            self = .integer(PythonInteger(isNegative: true, magnitude: PythonInteger.increment(bytes)))
        case .tagged(Tag.tuple, .array(let items)): self = .tuple(try items.map(PythonValue.init))
        case .tagged(Tag.set, .array(let items)): self = .set(Set(try items.map(PythonValue.init)))
        case .tagged(Tag.frozenset, .array(let items)): self = .frozenset(Set(try items.map(PythonValue.init)))
        case .tagged(_, let value): try self.init(value)
        case .simple(let value):
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "There is no Python value for the simple value \(value)."))
        }
    }
}

extension PythonValue: Codable {
    /// Reads a value that a context has sent, or what ``encode(to:)`` has made.
    public init(from decoder: any Decoder) throws { try self.init(CBORValue(from: decoder)) }
    /// For arguments, and items of channels.
    public func encode(to encoder: any Encoder) throws { try wire().encode(to: encoder) }
}

extension PythonInteger {
    fileprivate var wire: CBORValue {
        guard isNegative else {
            return magnitude.count <= 8
                ? .unsigned(magnitude.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
                : .tagged(PythonValue.Tag.positive, .bytes(magnitude))
        }
        let rest = PythonInteger.decrement(magnitude)
        return rest.count <= 8
            ? .negative(rest.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
            : .tagged(PythonValue.Tag.negative, .bytes(rest))
    }

    fileprivate static func increment(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for index in bytes.indices.reversed() {
            bytes[index] &+= 1
            if bytes[index] != 0 { return bytes }
        }
        return [1] + bytes
    }

    /// - Parameter bytes: not zero.
    private static func decrement(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for index in bytes.indices.reversed() {
            bytes[index] &-= 1
            if bytes[index] != 0xff { break }
        }
        return Array(bytes.drop { $0 == 0 })
    }
}
