/// Any CBOR item, untyped: for data whose shape is not known beforehand.
///
/// Bignums are tags 2 and 3 around bytes, as on the wire; `integer` reads them. Lengths and widths are not kept: an
/// indefinite array is an array, and a float is written in its shortest form.
package enum CBORValue: Hashable, Sendable {
    case unsigned(UInt64)
    /// The integer -1 - n.
    case negative(UInt64)
    case bytes([UInt8])
    case text(String)
    case array([CBORValue])
    case map([Pair])
    indirect case tagged(UInt64, CBORValue)
    case bool(Bool)
    case null
    case undefined
    /// A simple value other than the ones above.
    case simple(UInt8)
    case float(Double)

    package struct Pair: Hashable, Sendable {
        package var key: CBORValue
        package var value: CBORValue

        package init(_ key: CBORValue, _ value: CBORValue) {
            self.key = key
            self.value = value
        }
    }

    /// The integer that this is, plain or as a bignum; nil if it is none or beyond 128 bits.
    package var integer: Int128? {
        switch self {
        case .unsigned(let value):
            return Int128(value)
        case .negative(let value):
            return ~Int128(value)
        case .tagged(let tag, .bytes(let bytes)) where tag == 2 || tag == 3:
            let digits = bytes.drop { $0 == 0 }
            guard digits.count < 16 || digits.count == 16 && digits[digits.startIndex] < 0x80 else { return nil }
            let magnitude = digits.reduce(0) { $0 << 8 | Int128($1) }
            return tag == 2 ? magnitude : ~magnitude
        default:
            return nil
        }
    }

    /// The value of a text key in a map.
    package subscript(key: String) -> CBORValue? {
        guard case .map(let pairs) = self else { return nil }
        return pairs.first { $0.key == .text(key) }?.value
    }
}
