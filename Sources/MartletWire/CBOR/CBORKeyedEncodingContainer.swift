/// Writes the pairs of a map.
struct CBORKeyedEncodingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let sink: CBOREncodingSink
    /// Where the map's head is, or was before it moved.
    let start: Int
    let depth: Int

    var codingPath: [any CodingKey] { sink.path(start, depth) }

    @inline(__always)
    private func write(_ key: Key, _ body: (inout CBORWriter) -> Void) throws {
        let (sink, home) = try sink.open(start)
        sink.writer.write(key.stringValue)
        body(&sink.writer)
        sink.countElement(home)
    }

    func encodeNil(forKey key: Key) throws { try write(key) { $0.writeNull() } }
    func encode(_ value: Bool, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: String, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: Double, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: Float, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: Int, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: Int8, forKey key: Key) throws { try write(key) { $0.write(Int64(value)) } }
    func encode(_ value: Int16, forKey key: Key) throws { try write(key) { $0.write(Int64(value)) } }
    func encode(_ value: Int32, forKey key: Key) throws { try write(key) { $0.write(Int64(value)) } }
    func encode(_ value: Int64, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: Int128, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: UInt, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
    func encode(_ value: UInt8, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
    func encode(_ value: UInt16, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
    func encode(_ value: UInt32, forKey key: Key) throws { try write(key) { $0.write(UInt64(value)) } }
    func encode(_ value: UInt64, forKey key: Key) throws { try write(key) { $0.write(value) } }
    func encode(_ value: UInt128, forKey key: Key) throws { try write(key) { $0.write(value) } }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        let (sink, home) = try sink.open(start)
        let mark = sink.writer.bytes.count
        sink.writer.write(key.stringValue)
        if !sink.canNest || !sink.writer.writeCommon(value) {
            try sink.encodeNested(value, step: .key(key), mark: mark)
        }
        sink.countElement(home)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        let nested = sink.openNested(in: start, head: 0xa0, step: .key(key)) { $0.write(key.stringValue) }
        return KeyedEncodingContainer(
            CBORKeyedEncodingContainer<NestedKey>(sink: nested.sink, start: nested.start, depth: nested.depth)
        )
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        let nested = sink.openNested(in: start, head: 0x80, step: .key(key)) { $0.write(key.stringValue) }
        return CBORUnkeyedEncodingContainer(sink: nested.sink, start: nested.start, depth: nested.depth)
    }

    func superEncoder() -> any Encoder {
        sink.makeSuperEncoder(in: start, depth: depth, step: .key(CBORCodingKey.super)) { $0.write("super") }
    }

    func superEncoder(forKey key: Key) -> any Encoder {
        sink.makeSuperEncoder(in: start, depth: depth, step: .key(key)) { $0.write(key.stringValue) }
    }
}
