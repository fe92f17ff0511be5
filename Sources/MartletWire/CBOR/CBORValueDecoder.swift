/// The `Decoder` that a value sees, its own single value container, and the step that leads to it in coding paths.
final class CBORValueDecoder: Decoder {
    let document: CBORDocument
    private let parent: CBORValueDecoder?
    private let step: CBORPathStep
    /// Where the value starts, at its tags if it has any.
    let start: Int
    /// How many containers it is in.
    let depth: Int
    /// Where the value ends, once one of its containers has found out; else -1.
    var end = -1

    init(_ document: CBORDocument) {
        self.document = document
        self.parent = nil
        self.step = .root
        self.start = 0
        self.depth = 0
    }

    init(in parent: CBORValueDecoder, _ step: CBORPathStep, start: Int, depth: Int) {
        self.document = parent.document
        self.parent = parent
        self.step = step
        self.start = start
        self.depth = depth
    }

    var codingPath: [any CodingKey] {
        var path: [any CodingKey] = []
        var node: CBORValueDecoder? = self
        while let current = node {
            if let key = current.step.codingKey { path.append(key) }
            node = current.parent
        }
        path.reverse()
        return path
    }

    var userInfo: [CodingUserInfoKey: Any] { document.userInfo }

    // MARK: Containers

    func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try makeKeyed())
    }

    func makeKeyed<Key>() throws -> CBORKeyedDecodingContainer<Key> {
        do throws(CBORError) {
            var reader = document.reader(at: start)
            try reader.skipTags()
            let index = try CBORMapIndex(&reader, depth: depth)
            end = reader.offset
            return CBORKeyedDecodingContainer(decoder: self, index: index)
        } catch {
            throw decodingError(error, [String: Any].self)
        }
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        do throws(CBORError) {
            return try CBORUnkeyedDecodingContainer(self)
        } catch {
            throw decodingError(error, [Any].self)
        }
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    // MARK: Values

    /// Reads something that this value is, tags aside.
    @inline(__always)
    func read<R>(
        _ offset: Int, _ type: Any.Type, _ step: @autoclosure () -> CBORPathStep,
        _ body: (inout CBORReader) throws(CBORError) -> R
    ) throws -> (R, end: Int) {
        do throws(CBORError) {
            var reader = document.reader(at: offset)
            try reader.skipTags()
            let value = try body(&reader)
            return (value, reader.offset)
        } catch {
            throw decodingError(error, type, step().codingKey)
        }
    }

    /// Decodes a value in a container of this one. `end` becomes where it ends, or -1 if that is not known.
    @inline(__always)
    func decode<T: Decodable>(
        _ type: T.Type, at offset: Int, depth: Int, end: inout Int, _ step: @autoclosure () -> CBORPathStep
    ) throws -> T {
        var reader = document.reader(at: offset)
        do throws(CBORUncommon) {
            let value = try reader.readCommon(type, depth: depth)
            end = reader.offset
            return value
        } catch {}
        let nested = CBORValueDecoder(in: self, step(), start: offset, depth: depth)
        let value = try T(from: nested)
        end = nested.end
        return value
    }

    /// Where this value ends.
    func findEnd() throws -> Int {
        if end < 0 { end = try skip(start, depth: depth) }
        return end
    }

    /// Where the item at `offset` ends.
    func skip(_ offset: Int, depth: Int) throws -> Int {
        var reader = document.reader(at: offset)
        do throws(CBORError) {
            try reader.skipItem(depth)
            return reader.offset
        } catch {
            throw decodingError(error, Any.self)
        }
    }

    // MARK: Errors

    /// The standard library's error for what the reader says about this value, or about the one at `key` in it.
    func decodingError(_ error: CBORError, _ type: Any.Type, _ key: (any CodingKey)? = nil) -> DecodingError {
        var path = codingPath
        if let key { path.append(key) }
        switch error.reason {
        case .mismatch(let found):
            let context = DecodingError.Context(
                codingPath: path,
                debugDescription: "Expected \(type) but found \(found) at byte \(error.offset).",
                underlyingError: error
            )
            return found == .null || found == .undefined ? .valueNotFound(type, context) : .typeMismatch(type, context)
        case .outOfRange:
            return .dataCorrupted(
                .init(
                    codingPath: path,
                    debugDescription: "The number at byte \(error.offset) does not fit in \(type).",
                    underlyingError: error
                )
            )
        default:
            return .dataCorrupted(.init(codingPath: path, debugDescription: "\(error)", underlyingError: error))
        }
    }
}

extension CBORValueDecoder: SingleValueDecodingContainer {
    @inline(__always)
    private func single<R>(_ type: R.Type, _ body: (inout CBORReader) throws(CBORError) -> R) throws -> R {
        let (value, end) = try read(start, type, .root, body)
        self.end = end
        return value
    }

    private func integer<I: FixedWidthInteger>(_ type: I.Type) throws -> I {
        try single(type) { (reader) throws(CBORError) in try reader.readInteger(type) }
    }

    func decodeNil() -> Bool {
        var reader = document.reader(at: start)
        guard (try? reader.skipTags()) != nil, reader.readNull() else { return false }
        end = reader.offset
        return true
    }

    func decode(_ type: Bool.Type) throws -> Bool {
        try single(type) { (reader) throws(CBORError) in try reader.readBool() }
    }

    func decode(_ type: String.Type) throws -> String {
        try single(type) { (reader) throws(CBORError) in try reader.readText() }
    }

    func decode(_ type: Double.Type) throws -> Double {
        try single(type) { (reader) throws(CBORError) in try reader.readDouble() }
    }

    func decode(_ type: Float.Type) throws -> Float {
        try single(type) { (reader) throws(CBORError) in try reader.readFloat() }
    }

    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: Int128.Type) throws -> Int128 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try integer(type) }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        var reader = document.reader(at: start)
        do throws(CBORUncommon) {
            let value = try reader.readCommon(type, depth: depth)
            end = reader.offset
            return value
        } catch {
            return try T(from: self)
        }
    }

    /// Reads the whole item with its tags.
    func readUntyped() throws -> CBORValue {
        var reader = document.reader(at: start)
        do throws(CBORError) {
            let value = try reader.readValue(depth: depth)
            end = reader.offset
            return value
        } catch {
            throw decodingError(error, CBORValue.self)
        }
    }
}
