/// Why bytes could not be read as CBOR, and where.
///
/// `CBORReader` throws it. `CBORDecoder` turns it into the standard library's `DecodingError`.
package struct CBORError: Error, Hashable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        /// The input ends inside an item, or an item claims more bytes than are left.
        case truncated
        /// An initial byte, or the value after it, that RFC 8949 does not allow.
        case malformed
        /// A break code where none may stand.
        case unexpectedBreak
        /// Text that is not UTF-8.
        case invalidUTF8
        /// Well-formed, but another kind of item than the one asked for.
        case mismatch(found: CBORKind)
        /// A number that the type asked for cannot hold.
        case outOfRange
        /// Nesting beyond `CBORLimits.maximumDepth`.
        case tooDeep
        /// More bytes than `CBORLimits.maximumByteCount`.
        case tooLarge
        /// The same key twice in one map.
        case duplicateKey
        /// A text in pieces (indefinite length) as the key of a map.
        case chunkedKey
        /// Bytes after the end of the value.
        case trailingBytes
    }

    package var reason: Reason
    /// Counted in bytes from the start of the input.
    package var offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    package var description: String {
        "\(summary) at byte \(offset)"
    }

    private var summary: String {
        switch reason {
        case .truncated: "the input ends inside an item"
        case .malformed: "malformed CBOR"
        case .unexpectedBreak: "a break code outside an indefinite-length item"
        case .invalidUTF8: "text that is not UTF-8"
        case .mismatch(let found): "found \(found)"
        case .outOfRange: "a number that does not fit"
        case .tooDeep: "nesting beyond the limit"
        case .tooLarge: "more bytes than the limit"
        case .duplicateKey: "a duplicate map key"
        case .chunkedKey: "a map key of indefinite length"
        case .trailingBytes: "bytes after the end of the value"
        }
    }
}

/// The kinds of CBOR items, as errors name them.
package enum CBORKind: String, Hashable, Sendable, CustomStringConvertible {
    case unsigned = "an unsigned integer"
    case negative = "a negative integer"
    case bytes = "a byte string"
    case text = "a text"
    case array = "an array"
    case map = "a map"
    case tag = "a tag"
    case bool = "a boolean"
    case null = "null"
    case undefined = "undefined"
    case simple = "a simple value"
    case float = "a floating-point number"
    case breakCode = "a break code"

    package var description: String { rawValue }

    /// The kind that an initial byte announces.
    package init(initialByte byte: UInt8) {
        switch byte >> 5 {
        case 0: self = .unsigned
        case 1: self = .negative
        case 2: self = .bytes
        case 3: self = .text
        case 4: self = .array
        case 5: self = .map
        case 6: self = .tag
        default:
            switch byte {
            case 0xf4, 0xf5: self = .bool
            case 0xf6: self = .null
            case 0xf7: self = .undefined
            case 0xf9, 0xfa, 0xfb: self = .float
            case 0xff: self = .breakCode
            default: self = .simple
            }
        }
    }
}
