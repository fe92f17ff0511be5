/// Exact conversions between the three widths of floating-point numbers that CBOR has.
///
/// They work on bit patterns where a NaN is concerned, because the processor would set its quiet bit, so every NaN
/// keeps its sign and payload. `Float16` does not exist on every platform, hence the half floats by hand.
enum CBORFloat {
    /// The bits of the single-precision number equal to `value`, if there is one.
    static func single(_ value: Double) -> UInt32? {
        if value.isNaN {
            let bits = value.bitPattern
            guard bits & 0x1fff_ffff == 0 else { return nil }
            return UInt32(truncatingIfNeeded: bits >> 32) & 0x8000_0000 | 0x7f80_0000
                | UInt32(truncatingIfNeeded: bits >> 29) & 0x007f_ffff
        }
        let narrow = Float(value)
        return Double(narrow) == value ? narrow.bitPattern : nil
    }

    /// The bits of the half-precision number equal to the single-precision number with these bits, if there is one.
    static func half(_ bits: UInt32) -> UInt16? {
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let exponent = Int(bits >> 23) & 0xff
        let fraction = bits & 0x007f_ffff
        switch exponent {
        case 0:
            return fraction == 0 ? sign : nil
        case 255, 113...142:
            guard fraction & 0x1fff == 0 else { return nil }
            let narrow = exponent == 255 ? 31 : UInt16(exponent - 112)
            return sign | narrow << 10 | UInt16(fraction >> 13)
        case 103...112:
            let shift = UInt32(126 - exponent)
            let whole = fraction | 0x0080_0000
            guard whole & (1 << shift - 1) == 0 else { return nil }
            return sign | UInt16(whole >> shift)
        default:
            return nil
        }
    }

    static func widen(half bits: UInt16) -> UInt32 {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10) & 0x1f
        let fraction = UInt32(bits & 0x3ff)
        switch exponent {
        case 0:
            // A subnormal half is an exact multiple of 2^-24, and normal as a single.
            return sign | (Float(fraction) * 0x1p-24).bitPattern
        case 31:
            return sign | 0x7f80_0000 | fraction << 13
        default:
            return sign | (exponent + 112) << 23 | fraction << 13
        }
    }

    static func widen(single bits: UInt32) -> Double {
        guard bits & 0x7f80_0000 == 0x7f80_0000 else { return Double(Float(bitPattern: bits)) }
        let sign = UInt64(bits & 0x8000_0000) << 32
        return Double(bitPattern: sign | 0x7ff0_0000_0000_0000 | UInt64(bits & 0x007f_ffff) << 29)
    }

    /// Rounds to single precision; nil if a finite number would become infinite.
    static func narrow(_ value: Double) -> Float? {
        if value.isNaN {
            let top = UInt32(truncatingIfNeeded: value.bitPattern >> 32) & 0x8000_0000
            let payload = UInt32(truncatingIfNeeded: value.bitPattern >> 29) & 0x007f_ffff
            return Float(bitPattern: top | 0x7f80_0000 | (payload == 0 ? 0x0040_0000 : payload))
        }
        let result = Float(value)
        return result.isInfinite && value.isFinite ? nil : result
    }
}
