/// Reads the elements of an array, or the numbers of a byte string, in turn.
struct CBORUnkeyedDecodingContainer: UnkeyedDecodingContainer {
    private let decoder: CBORValueDecoder
    private let elementCount: Int
    private let isIndefinite: Bool
    /// The content, if this is a byte string.
    private let bytes: [UInt8]?
    /// Where the next element starts.
    private var offset: Int
    private(set) var currentIndex = 0

    init(_ decoder: CBORValueDecoder) throws(CBORError) {
        self.decoder = decoder
        var reader = decoder.document.reader(at: decoder.start)
        try reader.skipTags()
        guard decoder.depth < reader.maximumDepth else { throw CBORError(.tooDeep, at: reader.offset) }
        if let first = reader.peek, first >> 5 == 2 {
            let content = try reader.readBytes()
            bytes = content
            elementCount = content.count
            isIndefinite = false
            offset = reader.offset
            decoder.end = offset
            return
        }
        bytes = nil
        if let count = try reader.readArrayHead() {
            elementCount = count
            isIndefinite = false
            offset = reader.offset
        } else {
            offset = reader.offset
            var count = 0
            while !reader.readBreak() {
                try reader.skipItem(decoder.depth + 1)
                count += 1
            }
            elementCount = count
            isIndefinite = true
        }
        if elementCount == 0 { decoder.end = reader.offset }
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { elementCount }
    var isAtEnd: Bool { currentIndex >= elementCount }

    // MARK: Moving on

    @inline(__always)
    private func checkNotAtEnd(_ type: Any.Type) throws {
        if isAtEnd { throw atEnd(type) }
    }

    @inline(never)
    private func atEnd(_ type: Any.Type) -> DecodingError {
        .valueNotFound(
            type,
            .init(
                codingPath: codingPath + [CBORCodingKey(index: currentIndex)],
                debugDescription: "The array at byte \(decoder.start) has only \(elementCount) elements."
            )
        )
    }

    /// An element is read only when it is read without error, so that another type may be tried.
    @inline(__always)
    private mutating func advance(to end: Int) {
        currentIndex += 1
        offset = end
        // The break code, if any, was seen when the elements were counted.
        if isAtEnd { decoder.end = isIndefinite ? end + 1 : end }
    }

    @inline(__always)
    private mutating func read<R>(
        _ type: R.Type, _ body: (inout CBORReader) throws(CBORError) -> R
    ) throws -> R {
        try checkNotAtEnd(type)
        if bytes != nil { return try decodeByte(type) }
        let (value, end) = try decoder.read(offset, type, .index(currentIndex), body)
        advance(to: end)
        return value
    }

    /// Decodes a byte as an encoded number would be.
    @inline(never)
    private mutating func decodeByte<R>(_ type: R.Type) throws -> R {
        let byte = bytes.map { $0[currentIndex] } ?? 0
        let value: Any? =
            switch type {
            case is UInt8.Type: byte
            case let type as any FixedWidthInteger.Type: type.init(exactly: byte)
            case is Double.Type: Double(byte)
            case is Float.Type: Float(byte)
            default: nil
            }
        guard let result = value as? R else {
            let error = CBORError(.mismatch(found: .bytes), at: decoder.start)
            throw decoder.decodingError(error, type, CBORCodingKey(index: currentIndex))
        }
        currentIndex += 1
        return result
    }

    private mutating func integer<I: FixedWidthInteger>(_ type: I.Type) throws -> I {
        try read(type) { (reader) throws(CBORError) in try reader.readInteger(type) }
    }

    // MARK: Values

    mutating func decodeNil() throws -> Bool {
        try checkNotAtEnd(Never.self)
        if bytes != nil { return false }
        var reader = decoder.document.reader(at: offset)
        guard (try? reader.skipTags()) != nil, reader.readNull() else { return false }
        advance(to: reader.offset)
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool {
        try read(type) { (reader) throws(CBORError) in try reader.readBool() }
    }

    mutating func decode(_ type: String.Type) throws -> String {
        try read(type) { (reader) throws(CBORError) in try reader.readText() }
    }

    mutating func decode(_ type: Double.Type) throws -> Double {
        try read(type) { (reader) throws(CBORError) in try reader.readDouble() }
    }

    mutating func decode(_ type: Float.Type) throws -> Float {
        try read(type) { (reader) throws(CBORError) in try reader.readFloat() }
    }

    mutating func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    mutating func decode(_ type: Int128.Type) throws -> Int128 { try integer(type) }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }

    mutating func decode(_ type: UInt8.Type) throws -> UInt8 {
        // How `Data` and its like read themselves.
        if let bytes, currentIndex < elementCount {
            defer { currentIndex += 1 }
            return bytes[currentIndex]
        }
        return try integer(type)
    }

    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try integer(type) }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try checkNotAtEnd(type)
        if bytes != nil { return try decodeByte(type) }
        var end = -1
        let value = try decoder.decode(
            type, at: offset, depth: decoder.depth + 1, end: &end, .index(currentIndex)
        )
        advance(to: end < 0 ? try skipElement() : end)
        return value
    }

    // MARK: Nested containers

    private func skipElement() throws -> Int {
        try decoder.skip(offset, depth: decoder.depth + 1)
    }

    private func nested() throws -> CBORValueDecoder {
        try checkNotAtEnd([Any].self)
        guard bytes == nil else {
            let error = CBORError(.mismatch(found: .unsigned), at: decoder.start)
            throw decoder.decodingError(error, [Any].self, CBORCodingKey(index: currentIndex))
        }
        return CBORValueDecoder(in: decoder, .index(currentIndex), start: offset, depth: decoder.depth + 1)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        let nested = try nested()
        let container: CBORKeyedDecodingContainer<NestedKey> = try nested.makeKeyed()
        advance(to: try nested.findEnd())
        return KeyedDecodingContainer(container)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let nested = try nested()
        let container = try nested.unkeyedContainer()
        advance(to: try nested.findEnd())
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let nested = try nested()
        advance(to: try nested.findEnd())
        return nested
    }
}
