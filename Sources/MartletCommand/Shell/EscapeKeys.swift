/// Finds what a person types to us instead of to the far machine: an escape character at the beginning of a line, as ssh has
/// it, and a key behind it.
struct EscapeKeys {
    enum Key: Equatable {
        /// For the far machine.
        case bytes([UInt8])
        /// `~.`: let go of the far machine, whatever it does.
        case disconnect
        /// `~?`
        case help
    }

    private let escape: UInt8?
    private var isAtStart = true
    private var isEscaped = false

    /// - Parameter escape: `nil`: all is for the far machine.
    init(escape: UInt8?) { self.escape = escape }

    /// Takes what was typed, in pieces of any size.
    mutating func take(_ typed: [UInt8]) -> [Key] {
        guard let escape else { return [.bytes(typed)] }
        var keys: [Key] = []
        var plain: [UInt8] = []
        func flush() {
            if !plain.isEmpty { keys.append(.bytes(plain)) }
            plain = []
        }
        for byte in typed {
            if isEscaped {
                isEscaped = false
                switch byte {
                case UInt8(ascii: "."):
                    flush()
                    return keys + [.disconnect]
                case UInt8(ascii: "?"):
                    flush()
                    keys.append(.help)
                    // The line is still empty over there.
                    continue
                case escape: plain.append(escape)
                default: plain += [escape, byte]
                }
            } else if isAtStart, byte == escape {
                isEscaped = true
                continue
            } else {
                plain.append(byte)
            }
            isAtStart = byte == 0x0a || byte == 0x0d
        }
        flush()
        return keys
    }
}
