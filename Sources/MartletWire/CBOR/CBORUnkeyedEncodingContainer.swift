/// Writes the elements of an array, or of a byte string when they all come as bytes.
struct CBORUnkeyedEncodingContainer: UnkeyedEncodingContainer {
    let sink: CBOREncodingSink
    /// Where the array's head is, or was before it moved.
    let start: Int
    let depth: Int

    var codingPath: [any CodingKey] { sink.path(start, depth) }

    var count: Int { sink.elementCount(start) }

    @inline(__always)
    private func write(_ body: (inout CBORWriter) -> Void) throws {
        let (sink, home) = try sink.open(start)
        body(&sink.writer)
        sink.countElement(home)
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
        let (sink, home) = try sink.open(start)
        if !sink.canNest || !sink.writer.writeCommon(value) {
            try sink.encodeNested(value, step: .index(count), mark: sink.writer.bytes.count)
        }
        sink.countElement(home)
    }

    /// Bytes that come as a sequence are how `Data` and its like write themselves: they stay bytes.
    func encode<T: Sequence>(contentsOf sequence: T) throws where T.Element == UInt8 {
        let (sink, home) = try sink.open(start)
        let done: Void? = sequence.withContiguousStorageIfAvailable {
            sink.appendBytes(UnsafeRawBufferPointer($0), to: home)
        }
        if done == nil { Array(sequence).withUnsafeBytes { sink.appendBytes($0, to: home) } }
    }

    func nestedContainer<NestedKey: CodingKey>(keyedBy: NestedKey.Type) -> KeyedEncodingContainer<NestedKey> {
        let nested = sink.openNested(in: start, head: 0xa0, step: .index(count)) { _ in }
        return KeyedEncodingContainer(
            CBORKeyedEncodingContainer<NestedKey>(sink: nested.sink, start: nested.start, depth: nested.depth)
        )
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let nested = sink.openNested(in: start, head: 0x80, step: .index(count)) { _ in }
        return CBORUnkeyedEncodingContainer(sink: nested.sink, start: nested.start, depth: nested.depth)
    }

    func superEncoder() -> any Encoder {
        sink.makeSuperEncoder(in: start, depth: depth, step: .index(count)) { _ in }
    }
}
