extension CBORReader {
    // MARK: Integers

    /// Reads an integer, also one written as a bignum.
    ///
    /// - Throws: `CBORError` with `.outOfRange` if `I` cannot hold it.
    @inline(__always)
    package mutating func readInteger<I: FixedWidthInteger>(_: I.Type = I.self) throws(CBORError) -> I {
        let start = offset
        let head = try readHead()
        if head.major == 0, let value = I(exactly: head.argument) { return value }
        if head.major == 1, head.argument <= UInt64(Int64.max), let value = I(exactly: ~Int64(head.argument)) {
            return value
        }
        offset = start
        return try readUncommonInteger()
    }

    @inline(never)
    private mutating func readUncommonInteger<I: FixedWidthInteger>() throws(CBORError) -> I {
        let start = offset
        do throws(CBORError) {
            let head = try readHead()
            var magnitude = UInt128(head.argument)
            var isNegative = head.major == 1
            if head.major == 6, head.argument == 2 || head.argument == 3 {
                isNegative = head.argument == 3
                magnitude = 0
                // A bignum may have leading zeros; what does not fit in 128 bits fits in no type that there is.
                for byte in try readBytes() {
                    guard magnitude >> 120 == 0 else { throw CBORError(.outOfRange, at: start) }
                    magnitude = magnitude << 8 | UInt128(byte)
                }
            } else if head.major > 1 {
                throw mismatch(head, at: start)
            }
            if !isNegative, let value = I(exactly: magnitude) { return value }
            if isNegative, magnitude >> 127 == 0, let value = I(exactly: ~Int128(magnitude)) { return value }
            throw CBORError(.outOfRange, at: start)
        } catch {
            offset = start
            throw error
        }
    }

    // MARK: Simple values and floating-point numbers

    @inline(__always)
    package mutating func readBool() throws(CBORError) -> Bool {
        switch peek {
        case 0xf5:
            offset &+= 1
            return true
        case 0xf4:
            offset &+= 1
            return false
        default:
            throw mismatchAhead()
        }
    }

    /// Reads null or undefined, if it is next.
    @inline(__always)
    package mutating func readNull() -> Bool {
        guard let byte = peek, byte == 0xf6 || byte == 0xf7 else { return false }
        offset &+= 1
        return true
    }

    /// Reads a floating-point number of any width, or an integer that `Double` holds exactly.
    package mutating func readDouble() throws(CBORError) -> Double {
        let start = offset
        let head = try readHead()
        switch head.initial {
        case 0xf9:
            return CBORFloat.widen(single: CBORFloat.widen(half: UInt16(truncatingIfNeeded: head.argument)))
        case 0xfa:
            return CBORFloat.widen(single: UInt32(truncatingIfNeeded: head.argument))
        case 0xfb:
            return Double(bitPattern: head.argument)
        default:
            offset = start
            guard head.major == 0 || head.major == 1 else { throw mismatch(head, at: start) }
            let integer = try readInteger(Int128.self)
            if let value = Double(exactly: integer) { return value }
            offset = start
            throw CBORError(.outOfRange, at: start)
        }
    }

    /// Reads a number as `readDouble` does and rounds it to single precision.
    package mutating func readFloat() throws(CBORError) -> Float {
        let start = offset
        if let value = CBORFloat.narrow(try readDouble()) { return value }
        offset = start
        throw CBORError(.outOfRange, at: start)
    }

    /// The error for the next item being of the wrong kind.
    @inline(never)
    func mismatchAhead() -> CBORError {
        var probe = self
        do throws(CBORError) {
            return mismatch(try probe.readHead(), at: offset)
        } catch {
            return error
        }
    }
}
