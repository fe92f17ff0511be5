/// Appends CBOR items to bytes: the hand-made way, without `Codable`.
///
/// Every head is the shortest one (preferred serialisation). The writer does not check that the items that follow an
/// array or map head are as many as it promises.
package struct CBORWriter: Sendable {
    package var bytes: [UInt8]

    /// A writer that appends to `bytes`. Default: none.
    package init(appendingTo bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    @inline(__always)
    package mutating func writeHead(_ major: UInt8, _ argument: UInt64) {
        if argument < 24 {
            bytes.append(major << 5 | UInt8(truncatingIfNeeded: argument))
        } else {
            writeLongHead(major << 5, argument)
        }
    }

    @inline(never)
    private mutating func writeLongHead(_ major: UInt8, _ argument: UInt64) {
        if argument <= 0xff {
            bytes.append(major | 24)
            bytes.append(UInt8(truncatingIfNeeded: argument))
        } else if argument <= 0xffff {
            bytes.append(major | 25)
            bytes.append(UInt8(truncatingIfNeeded: argument >> 8))
            bytes.append(UInt8(truncatingIfNeeded: argument))
        } else if argument <= 0xffff_ffff {
            writeFixed(major | 26, UInt32(truncatingIfNeeded: argument))
        } else {
            writeFixed(major | 27, argument)
        }
    }

    @inline(__always)
    private mutating func writeFixed<I: FixedWidthInteger>(_ initial: UInt8, _ value: I) {
        bytes.append(initial)
        Swift.withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    // MARK: Integers

    @inline(__always)
    package mutating func write(_ value: Int) {
        write(Int64(value))
    }

    @inline(__always)
    package mutating func write(_ value: Int64) {
        // -1 - n is the complement of n, for n of either sign.
        writeHead(value < 0 ? 1 : 0, UInt64(bitPattern: value < 0 ? ~value : value))
    }

    @inline(__always)
    package mutating func write(_ value: UInt64) {
        writeHead(0, value)
    }

    /// Writes an integer beyond 64 bits as a bignum (tag 2 or 3), any other as a plain one.
    package mutating func write(_ value: Int128) {
        let isNegative = value < 0
        writeMagnitude(UInt128(truncatingIfNeeded: isNegative ? ~value : value), isNegative: isNegative)
    }

    /// Writes an integer beyond 64 bits as a bignum (tag 2), any other as a plain one.
    package mutating func write(_ value: UInt128) {
        writeMagnitude(value, isNegative: false)
    }

    private mutating func writeMagnitude(_ magnitude: UInt128, isNegative: Bool) {
        if let short = UInt64(exactly: magnitude) {
            return writeHead(isNegative ? 1 : 0, short)
        }
        writeTag(isNegative ? 3 : 2)
        let count = (128 - magnitude.leadingZeroBitCount + 7) / 8
        writeHead(2, UInt64(count))
        for index in (0..<count).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: magnitude >> UInt128(index * 8)))
        }
    }

    // MARK: Strings

    @inline(__always)
    package mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            writeHead(3, UInt64(utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }

    package mutating func write(bytes content: [UInt8]) {
        content.withUnsafeBytes { write(bytes: $0) }
    }

    package mutating func write(bytes content: UnsafeRawBufferPointer) {
        // One growth to the exact size: the doubling of `append` would touch twice the memory for a large string.
        if content.count > 4096, bytes.capacity - bytes.count < content.count + 9 {
            bytes.reserveCapacity(bytes.count + content.count + 9)
        }
        writeHead(2, UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    // MARK: Containers

    /// Announces an array of `count` items.
    package mutating func writeArrayHead(_ count: Int) {
        writeHead(4, UInt64(count))
    }

    /// Announces a map of `count` pairs of a key and a value.
    package mutating func writeMapHead(_ count: Int) {
        writeHead(5, UInt64(count))
    }

    /// Announces a tagged item, which must follow.
    package mutating func writeTag(_ tag: UInt64) {
        writeHead(6, tag)
    }

    // MARK: The rest

    @inline(__always)
    package mutating func write(_ value: Bool) {
        bytes.append(value ? 0xf5 : 0xf4)
    }

    @inline(__always)
    package mutating func writeNull() {
        bytes.append(0xf6)
    }

    package mutating func writeUndefined() {
        bytes.append(0xf7)
    }

    /// Writes a simple value. 24 to 31 do not exist in CBOR.
    package mutating func writeSimple(_ value: UInt8) {
        precondition(value < 24 || value > 31, "no such CBOR simple value: \(value)")
        writeHead(7, UInt64(value))
    }

    /// Writes the shortest floating-point number that is equal to `value`, bit for bit for a NaN.
    package mutating func write(_ value: Double) {
        if let single = CBORFloat.single(value) {
            write(singleBits: single)
        } else {
            writeFixed(0xfb, value.bitPattern)
        }
    }

    /// Writes the shortest floating-point number that is equal to `value`, bit for bit for a NaN.
    package mutating func write(_ value: Float) {
        write(singleBits: value.bitPattern)
    }

    private mutating func write(singleBits bits: UInt32) {
        if let half = CBORFloat.half(bits) {
            writeFixed(0xf9, half)
        } else {
            writeFixed(0xfa, bits)
        }
    }
}
