/// Decodes `Decodable` values from CBOR (RFC 8949), also from what other encoders write.
///
/// Indefinite lengths, any width of number, and tags (which are skipped) are accepted. `[UInt8]` comes
/// from a byte string or from an array of small numbers; an unkeyed container also reads a byte string. A key is found
/// by its text or, failing that, as an integer by its `intValue`. Unknown keys are skipped; a map with the same key
/// twice, a text key in pieces (indefinite length) and bytes after the value are errors. null and undefined are both
/// nil. A floating-point number is never an integer; an integer is a `Double` if that holds it exactly. Skipped text is
/// not checked for UTF-8.
///
/// Decoding takes time in proportion to the bytes, times the depth of the maps at worst, and memory in proportion to
/// them.
package struct CBORDecoder: Sendable {
    package var limits: CBORLimits
    /// What values find in `Decoder.userInfo`. Default: nothing.
    package var userInfo = [CodingUserInfoKey: any Sendable]()
    /// Is asked for more of it when a value looks. Default: none.
    package var userInfoSource: (any CBORUserInfoSource)?

    package init(limits: CBORLimits = .default) {
        self.limits = limits
    }

    /// - Throws: `DecodingError`: `.dataCorrupted` if the bytes are not one well-formed value within the limits, with
    ///   the offset in the text; the other cases if they do not fit the type; and what the type itself throws.
    package func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        try bytes.withUnsafeBytes { try decode(type, from: $0) }
    }

    /// - Throws: As the other `decode`.
    package func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        guard bytes.count <= limits.maximumByteCount else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: [],
                    debugDescription: "\(bytes.count) bytes are more than the limit of \(limits.maximumByteCount)."
                )
            )
        }
        var reader = CBORReader(bytes, limits: limits)
        let common: T
        do throws(CBORUncommon) {
            common = try reader.readCommon(type, depth: 0)
        } catch {
            return try decodeSlowly(type, bytes)
        }
        guard reader.isAtEnd else { throw trailingBytes(at: reader.offset) }
        return common
    }

    private func decodeSlowly<T: Decodable>(_ type: T.Type, _ bytes: UnsafeRawBufferPointer) throws -> T {
        var document = CBORDocument(bytes, limits: limits, userInfo: userInfo, source: userInfoSource)
        // A value may have kept its decoder, which must not read memory that is no longer ours.
        defer { if !isKnownUniquelyReferenced(&document) { document.keepCopy() } }
        return try decodeRoot(type, document)
    }

    private func decodeRoot<T: Decodable>(_ type: T.Type, _ document: CBORDocument) throws -> T {
        let root = CBORValueDecoder(document)
        let value = try T(from: root)
        let end = try root.findEnd()
        guard end == document.count else { throw trailingBytes(at: end) }
        return value
    }

    private func trailingBytes(at offset: Int) -> DecodingError {
        let error = CBORError(.trailingBytes, at: offset)
        return .dataCorrupted(.init(codingPath: [], debugDescription: "\(error)", underlyingError: error))
    }
}

/// Knows what values find in `Decoder.userInfo`.
package protocol CBORUserInfoSource: AnyObject, Sendable {
    var userInfo: [CodingUserInfoKey: any Sendable] { get }
}

/// Thrown to the coder itself: there is no short way to decode this type from these bytes.
struct CBORUncommon: Error {}

extension CBORReader {
    /// Reads a value of a type for which `Codable` would be a detour.
    ///
    /// - Throws: `CBORUncommon`, with the offset as before, if the type is none or if anything is unusual about the
    ///   bytes: the way by `Codable` then finds the value, or the error and its path. (Not an optional: that would cost
    ///   the look-up of a generic type at run time.)
    @inline(__always)
    mutating func readCommon<T>(_: T.Type, depth: Int) throws(CBORUncommon) -> T {
        if T.self == String.self {
            return unsafeBitCast(try common { (r) throws(CBORError) in try r.readText() }, to: T.self)
        }
        if T.self == Int.self {
            return unsafeBitCast(try common { (r) throws(CBORError) in try r.readInteger(Int.self) }, to: T.self)
        }
        if T.self == [UInt8].self {
            return unsafeBitCast(try common { (r) throws(CBORError) in try r.readBytes() }, to: T.self)
        }
        if T.self == Bool.self {
            return unsafeBitCast(try common { (r) throws(CBORError) in try r.readBool() }, to: T.self)
        }
        if T.self == Double.self {
            return unsafeBitCast(try common { (r) throws(CBORError) in try r.readDouble() }, to: T.self)
        }
        return try readUncommon(T.self, depth)
    }

    private mutating func readUncommon<T>(_: T.Type, _ depth: Int) throws(CBORUncommon) -> T {
        if T.self == [String].self {
            return unsafeBitCast(try array(depth) { (r) throws(CBORError) in try r.readText() }, to: T.self)
        }
        if T.self == [Int].self {
            return unsafeBitCast(try array(depth) { (r) throws(CBORError) in try r.readInteger(Int.self) }, to: T.self)
        }
        if T.self == [Double].self {
            return unsafeBitCast(try array(depth) { (r) throws(CBORError) in try r.readDouble() }, to: T.self)
        }
        if T.self == UInt64.self { return try integer(UInt64.self) }
        if T.self == Int64.self { return try integer(Int64.self) }
        if T.self == Int32.self { return try integer(Int32.self) }
        if T.self == UInt32.self { return try integer(UInt32.self) }
        if T.self == UInt8.self { return try integer(UInt8.self) }
        if T.self == Float.self {
            return unsafeBitCast(try common { (r) throws(CBORError) in try r.readFloat() }, to: T.self)
        }
        if T.self == ContiguousArray<UInt8>.self {
            let bytes = try common { (r) throws(CBORError) in ContiguousArray(try r.readBytes()) }
            return unsafeBitCast(bytes, to: T.self)
        }
        throw CBORUncommon()
    }

    @inline(__always)
    private mutating func common<R>(
        _ body: (inout CBORReader) throws(CBORError) -> R
    ) throws(CBORUncommon) -> R {
        do throws(CBORError) {
            return try body(&self)
        } catch {
            throw CBORUncommon()
        }
    }

    @inline(__always)
    private mutating func integer<I: FixedWidthInteger, T>(_ type: I.Type) throws(CBORUncommon) -> T {
        unsafeBitCast(try common { (r) throws(CBORError) in try r.readInteger(type) }, to: T.self)
    }

    @inline(__always)
    private mutating func array<Element>(
        _ depth: Int, _ element: (inout CBORReader) throws(CBORError) -> Element
    ) throws(CBORUncommon) -> [Element] {
        guard depth < maximumDepth else { throw CBORUncommon() }
        let start = offset
        do throws(CBORError) {
            var result: [Element] = []
            if let count = try readArrayHead() {
                // The claim is at most what is left in bytes, but an element may be many times larger than its bytes.
                result.reserveCapacity(min(count, 4096))
                for _ in 0..<count { result.append(try element(&self)) }
            } else {
                while !readBreak() { result.append(try element(&self)) }
            }
            return result
        } catch {
            offset = start
            throw CBORUncommon()
        }
    }
}
