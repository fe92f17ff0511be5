/// Encodes `Encodable` values as CBOR (RFC 8949).
///
/// Arrays and maps have definite lengths and every number its shortest form. `[UInt8]`, `ContiguousArray<UInt8>` and
/// everything that writes itself by `encode(contentsOf:)` of bytes (such as Foundation's `Data`) become byte strings.
/// The keys of maps are always texts, in the order in which the value wrote them; that no key is written twice is up to
/// the value (the decoder refuses such a map). A value that writes nothing becomes an empty map.
package struct CBOREncoder: Sendable {
    package var limits: CBORLimits
    /// What values find in `Encoder.userInfo`. Default: nothing.
    package var userInfo = [CodingUserInfoKey: any Sendable]()

    package init(limits: CBORLimits = .default) {
        self.limits = limits
    }

    /// - Throws: `EncodingError.invalidValue` if a limit is exceeded, and what the value itself throws.
    package func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
        var buffer: [UInt8] = []
        try encode(value, into: &buffer)
        return buffer
    }

    /// Appends the encoded value to `buffer`; when it throws, `buffer` is as before.
    ///
    /// - Throws: `EncodingError.invalidValue` if a limit is exceeded, and what the value itself throws.
    package func encode<T: Encodable>(_ value: T, into buffer: inout [UInt8]) throws {
        let start = buffer.count
        var writer = CBORWriter()
        swap(&writer.bytes, &buffer)
        defer { swap(&writer.bytes, &buffer) }
        do {
            if limits.maximumDepth < 1 || !writer.writeCommon(value) {
                if writer.bytes.capacity - start < 64 { writer.bytes.reserveCapacity(start + 128) }
                try encodeSlowly(value, &writer)
            }
            guard writer.bytes.count - start <= limits.maximumByteCount else {
                throw EncodingError.invalidValue(
                    value,
                    .init(
                        codingPath: [],
                        debugDescription: "The encoded value has \(writer.bytes.count - start) bytes, more than the "
                            + "limit of \(limits.maximumByteCount)."
                    )
                )
            }
        } catch {
            writer.bytes.removeLast(writer.bytes.count - start)
            throw error
        }
    }

    private func encodeSlowly<T: Encodable>(_ value: T, _ writer: inout CBORWriter) throws {
        let sink = CBOREncodingSink(limits: limits, userInfo: userInfo)
        sink.start(with: &writer.bytes)
        defer { sink.finish(giving: &writer.bytes) }
        do {
            try value.encode(to: CBORValueEncoder(sink: sink, start: sink.base, depth: 0))
        } catch {
            throw sink.failure ?? error
        }
        if sink.writer.bytes.count == sink.base { sink.writer.writeMapHead(0) }
        if !sink.late.isEmpty { sink.splice(from: 0) }
        if let failure = sink.failure { throw failure }
    }
}

extension CBORWriter {
    /// Writes a value of a type for which `Codable` would be a detour; false if it is none.
    ///
    /// Comparing a type costs about a nanosecond, so the likely ones come first.
    @inline(__always)
    mutating func writeCommon<T>(_ value: T) -> Bool {
        if T.self == String.self {
            write(unsafeBitCast(value, to: String.self))
        } else if T.self == Int.self {
            write(unsafeBitCast(value, to: Int.self))
        } else if T.self == [UInt8].self {
            write(bytes: unsafeBitCast(value, to: [UInt8].self))
        } else if T.self == Bool.self {
            write(unsafeBitCast(value, to: Bool.self))
        } else if T.self == Double.self {
            write(unsafeBitCast(value, to: Double.self))
        } else {
            return writeUncommon(value)
        }
        return true
    }

    private mutating func writeUncommon<T>(_ value: T) -> Bool {
        if T.self == [String].self {
            let items = unsafeBitCast(value, to: [String].self)
            writeArrayHead(items.count)
            for item in items { write(item) }
        } else if T.self == [Int].self {
            let items = unsafeBitCast(value, to: [Int].self)
            writeArrayHead(items.count)
            for item in items { write(item) }
        } else if T.self == [Double].self {
            let items = unsafeBitCast(value, to: [Double].self)
            writeArrayHead(items.count)
            for item in items { write(item) }
        } else if T.self == UInt64.self {
            write(unsafeBitCast(value, to: UInt64.self))
        } else if T.self == Int64.self {
            write(unsafeBitCast(value, to: Int64.self))
        } else if T.self == Int32.self {
            write(Int(unsafeBitCast(value, to: Int32.self)))
        } else if T.self == UInt32.self {
            write(UInt64(unsafeBitCast(value, to: UInt32.self)))
        } else if T.self == UInt8.self {
            write(UInt64(unsafeBitCast(value, to: UInt8.self)))
        } else if T.self == Float.self {
            write(unsafeBitCast(value, to: Float.self))
        } else if T.self == ContiguousArray<UInt8>.self {
            unsafeBitCast(value, to: ContiguousArray<UInt8>.self).withUnsafeBytes { write(bytes: $0) }
        } else {
            return false
        }
        return true
    }
}

/// An encoder of which what it writes goes into frames, and nowhere else.
package protocol FrameEncoder: Encoder {}
