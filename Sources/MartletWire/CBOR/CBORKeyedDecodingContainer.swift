/// Reads the pairs of a map by key.
struct CBORKeyedDecodingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: CBORValueDecoder
    let index: CBORMapIndex

    var codingPath: [any CodingKey] { decoder.codingPath }

    var allKeys: [Key] {
        index.entries.compactMap { entry in
            var reader = decoder.document.reader(at: Int(entry.keyStart))
            switch entry.kind {
            case .text:
                let name = UnsafeRawBufferPointer(start: reader.base + reader.offset, count: Int(entry.keyCount))
                return Key(stringValue: String(decoding: name, as: UTF8.self))
            case .integer:
                return (try? reader.readInteger(Int.self)).flatMap { Key(intValue: $0) }
            case .other:
                return nil
            }
        }
    }

    // MARK: Lookup

    @inline(__always)
    private func find(_ key: some CodingKey) -> Int? {
        index.find(key, decoder.document.base)
    }

    @inline(__always)
    private func require(_ key: some CodingKey) throws -> Int {
        guard let offset = find(key) else { throw missing(key) }
        return offset
    }

    @inline(never)
    private func missing(_ key: some CodingKey) -> DecodingError {
        .keyNotFound(
            key,
            .init(codingPath: codingPath, debugDescription: "The map at byte \(decoder.start) has no key \(key).")
        )
    }

    @inline(__always)
    private func isNil(_ offset: Int) -> Bool {
        var reader = decoder.document.reader(at: offset)
        return (try? reader.skipTags()) != nil && reader.readNull()
    }

    /// The offset of a value that is there and not nil.
    @inline(__always)
    private func present(_ key: Key) -> Int? {
        guard let offset = find(key), !isNil(offset) else { return nil }
        return offset
    }

    @inline(__always)
    private func read<R>(
        _ type: R.Type, _ key: Key, _ offset: Int, _ body: (inout CBORReader) throws(CBORError) -> R
    ) throws -> R {
        try decoder.read(offset, type, .key(key), body).0
    }

    @inline(__always)
    private func integer<I: FixedWidthInteger>(_ type: I.Type, _ key: Key) throws -> I {
        try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readInteger(type) }
    }

    @inline(__always)
    private func value<T: Decodable>(_ type: T.Type, _ key: Key, _ offset: Int) throws -> T {
        var end = -1
        return try decoder.decode(type, at: offset, depth: decoder.depth + 1, end: &end, .key(key))
    }

    private func nested(_ key: some CodingKey) throws -> CBORValueDecoder {
        CBORValueDecoder(in: decoder, .key(key), start: try require(key), depth: decoder.depth + 1)
    }

    // MARK: Values

    func contains(_ key: Key) -> Bool { find(key) != nil }
    func decodeNil(forKey key: Key) throws -> Bool { isNil(try require(key)) }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readBool() }
    }

    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readText() }
    }

    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readDouble() }
    }

    func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
        try read(type, key, require(key)) { (reader) throws(CBORError) in try reader.readFloat() }
    }

    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try integer(type, key) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try integer(type, key) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try integer(type, key) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try integer(type, key) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try integer(type, key) }
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try integer(type, key) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try integer(type, key) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try integer(type, key) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try integer(type, key) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try integer(type, key) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try integer(type, key) }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try integer(type, key) }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try value(type, key, require(key))
    }

    // The standard library's own versions of these look the key up three times.

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        try present(key).map { try value(type, key, $0) }
    }

    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try present(key).map { try value(type, key, $0) }
    }

    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
        try present(key).map { try value(type, key, $0) }
    }

    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
        try present(key).map { try value(type, key, $0) }
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        try present(key).map { try value(type, key, $0) }
    }

    // MARK: Nested containers

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        KeyedDecodingContainer(try nested(key).makeKeyed())
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try nested(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try nested(CBORCodingKey.super) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try nested(key) }
}
