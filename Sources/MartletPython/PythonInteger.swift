/// An integer of any size: only for values beyond `Int`, which ``PythonValue/int(_:)`` carries.
public struct PythonInteger: Sendable, Hashable {
    /// Whether it is below zero.
    public let isNegative: Bool
    /// Its absolute value, the highest byte first, without leading zeros.
    public let magnitude: [UInt8]

    /// Leading zeros of `magnitude` are dropped.
    public init(isNegative: Bool, magnitude: [UInt8]) {
        self.magnitude = Array(magnitude.drop { $0 == 0 })
        self.isNegative = isNegative && !self.magnitude.isEmpty
    }

    /// The integer that is `value`.
    public init(_ value: some BinaryInteger) {
        var (rest, bytes) = (value.magnitude, [UInt8]())
        while rest != 0 {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
        self.init(isNegative: value < 0, magnitude: bytes.reversed())
    }

    /// Reads decimal digits, with a sign if need be; `nil` if they are none.
    public init?(_ text: String) {
        let digits = text.utf8.drop { $0 == 45 || $0 == 43 }
        guard !digits.isEmpty, text.utf8.count - digits.count <= 1, digits.allSatisfy({ (48...57).contains($0) }) else {
            return nil
        }
        var bytes: [UInt8] = []
        for digit in digits {
            var carry = Int(digit) - 48
            for index in bytes.indices {
                carry += Int(bytes[index]) * 10
                bytes[index] = UInt8(carry & 0xff)
                carry >>= 8
            }
            if carry > 0 { bytes.append(UInt8(carry)) }
        }
        self.init(isNegative: text.utf8.first == 45, magnitude: bytes.reversed())
    }

    /// The same as an `Int`, if it is one.
    public var int: Int? {
        guard magnitude.count <= 8 else { return nil }
        let value = magnitude.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard isNegative else { return Int(exactly: value) }
        return value == 1 << 63 ? Int.min : Int(exactly: value).map { -$0 }
    }
}

extension PythonInteger: CustomStringConvertible {
    /// Decimal digits.
    public var description: String {
        var (rest, digits) = (magnitude, [UInt8]())
        while !rest.isEmpty {
            var carry = 0
            for index in rest.indices {
                carry = carry << 8 | Int(rest[index])
                rest[index] = UInt8(carry / 10)
                carry %= 10
            }
            digits.append(UInt8(48 + carry))
            rest.removeFirst(rest.prefix { $0 == 0 }.count)
        }
        if digits.isEmpty { digits = [48] }
        return (isNegative ? "-" : "") + String(decoding: digits.reversed(), as: UTF8.self)
    }
}
