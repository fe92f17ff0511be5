/// The `Encoder` that a value sees, and its own single value container. Three words, so that `any Encoder` holds it
/// without an allocation.
struct CBORValueEncoder: FrameEncoder, SingleValueEncodingContainer {
    let sink: CBOREncodingSink
    /// Where the value starts in the sink's bytes.
    let start: Int
    /// How many frames of the sink lead here.
    let depth: Int

    var codingPath: [any CodingKey] { sink.path(start, depth) }

    var userInfo: [CodingUserInfoKey: Any] { sink.userInfo }

    func container<Key: CodingKey>(keyedBy: Key.Type) -> KeyedEncodingContainer<Key> {
        let place = sink.openContainer(start, depth: depth, head: 0xa0)
        return KeyedEncodingContainer(
            CBORKeyedEncodingContainer<Key>(sink: place.sink, start: place.start, depth: place.depth)
        )
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        let place = sink.openContainer(start, depth: depth, head: 0x80)
        return CBORUnkeyedEncodingContainer(sink: place.sink, start: place.start, depth: place.depth)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    // MARK: Single values

    @inline(__always)
    private func write(_ body: (inout CBORWriter) -> Void) throws {
        guard sink.top == start, sink.writer.bytes.count == start else {
            throw sink.misuse("A single value was encoded where something had been encoded before.", start, depth)
        }
        body(&sink.writer)
    }

    func encodeNil() throws { try write { $0.writeNull() } }
    func encode(_ value: Bool) throws { try write { $0.write(value) } }
    func encode(_ value: String) throws { try write { $0.write(value) } }
    func encode(_ value: Double) throws { try write { $0.write(value) } }
    func encode(_ value: Float) throws { try write { $0.write(value) } }
    func encode(_ value: Int) throws { try write { $0.write(value) } }
    func encode(_ value: Int8) throws { try write { $0.write(Int64(value)) } }
    func encode(_ value: Int16) throws { try write { $0.write(Int64(value)) } }
    func encode(_ value: Int32) throws { try write { $0.write(Int64(value)) } }
    func encode(_ value: Int64) throws { try write { $0.write(value) } }
    func encode(_ value: Int128) throws { try write { $0.write(value) } }
    func encode(_ value: UInt) throws { try write { $0.write(UInt64(value)) } }
    func encode(_ value: UInt8) throws { try write { $0.write(UInt64(value)) } }
    func encode(_ value: UInt16) throws { try write { $0.write(UInt64(value)) } }
    func encode(_ value: UInt32) throws { try write { $0.write(UInt64(value)) } }
    func encode(_ value: UInt64) throws { try write { $0.write(value) } }
    func encode(_ value: UInt128) throws { try write { $0.write(value) } }

    func encode<T: Encodable>(_ value: T) throws {
        guard sink.top == start, sink.writer.bytes.count == start else {
            throw sink.misuse("A single value was encoded where something had been encoded before.", start, depth)
        }
        if sink.baseDepth + depth < sink.limits.maximumDepth, sink.writer.writeCommon(value) { return }
        try value.encode(to: self)
    }

    /// Writes an item as it is, and holds its nesting against the limit.
    func encodeUntyped(_ value: CBORValue) throws {
        try write { $0.write(value) }
        let depth = sink.baseDepth + depth
        try sink.writer.bytes.withUnsafeBytes { bytes in
            var reader = CBORReader(UnsafeRawBufferPointer(rebasing: bytes[start...]), limits: sink.limits)
            do {
                try reader.skipItem(depth)
            } catch {
                throw EncodingError.invalidValue(value, .init(codingPath: codingPath, debugDescription: "\(error)"))
            }
        }
    }
}
