extension CBORWriter {
    package mutating func write(_ value: CBORValue) {
        switch value {
        case .unsigned(let value): writeHead(0, value)
        case .negative(let value): writeHead(1, value)
        case .bytes(let value): write(bytes: value)
        case .text(let value): write(value)
        case .array(let items):
            writeArrayHead(items.count)
            for item in items { write(item) }
        case .map(let pairs):
            writeMapHead(pairs.count)
            for pair in pairs {
                write(pair.key)
                write(pair.value)
            }
        case .tagged(let tag, let value):
            writeTag(tag)
            write(value)
        case .bool(let value): write(value)
        case .null: writeNull()
        case .undefined: writeUndefined()
        case .simple(let value): writeSimple(value)
        case .float(let value): write(value)
        }
    }
}

extension CBORReader {
    /// Reads one item with all that is in it. Duplicate keys of maps are kept.
    ///
    /// - Parameter depth: How many arrays, maps and tags the item is in. Default: none.
    package mutating func readValue(depth: Int = 0) throws(CBORError) -> CBORValue {
        let start = offset
        do throws(CBORError) {
            return try readAnyValue(depth)
        } catch {
            offset = start
            throw error
        }
    }

    private mutating func readAnyValue(_ depth: Int) throws(CBORError) -> CBORValue {
        let start = offset
        guard let first = peek else { throw CBORError(.truncated, at: start) }
        let major = first >> 5
        if major >= 4, major <= 6, depth >= maximumDepth { throw CBORError(.tooDeep, at: start) }
        switch major {
        case 0: return .unsigned(try readHead().argument)
        case 1: return .negative(try readHead().argument)
        case 2: return .bytes(try readBytes())
        case 3: return .text(try readText())
        case 4:
            var items: [CBORValue] = []
            try readElements(readArrayHead()) { (reader) throws(CBORError) in
                items.append(try reader.readAnyValue(depth + 1))
            }
            return .array(items)
        case 5:
            var pairs: [CBORValue.Pair] = []
            try readElements(readMapHead()) { (reader) throws(CBORError) in
                let key = try reader.readAnyValue(depth + 1)
                pairs.append(.init(key, try reader.readAnyValue(depth + 1)))
            }
            return .map(pairs)
        case 6: return .tagged(try readTag(), try readAnyValue(depth + 1))
        default: return try readSimpleOrFloat()
        }
    }

    private mutating func readElements(
        _ count: Int?, _ body: (inout CBORReader) throws(CBORError) -> Void
    ) throws(CBORError) {
        if let count {
            for _ in 0..<count { try body(&self) }
        } else {
            while !readBreak() { try body(&self) }
        }
    }

    private mutating func readSimpleOrFloat() throws(CBORError) -> CBORValue {
        switch peek {
        case 0xf4, 0xf5: return .bool(try readBool())
        case 0xf9, 0xfa, 0xfb: return .float(try readDouble())
        case 0xff: throw CBORError(.unexpectedBreak, at: offset)
        default:
            let value = try readHead().argument
            return value == 22 ? .null : value == 23 ? .undefined : .simple(UInt8(truncatingIfNeeded: value))
        }
    }
}

extension CBORValue {
    package init(decoding bytes: [UInt8], limits: CBORLimits = .default) throws {
        self = try CBORReader.read(bytes, limits: limits) { try $0.readValue() }
    }

    package var encoded: [UInt8] {
        var writer = CBORWriter()
        writer.write(self)
        return writer.bytes
    }
}

/// Only this module's coder can write any item; another one has no words for tags.
extension CBORValue: Codable {
    package init(from decoder: any Decoder) throws {
        guard let decoder = decoder as? CBORValueDecoder else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "A CBORValue can only be decoded from CBOR.")
            )
        }
        self = try decoder.readUntyped()
    }

    package func encode(to encoder: any Encoder) throws {
        guard let encoder = encoder as? CBORValueEncoder else {
            throw EncodingError.invalidValue(
                self,
                .init(codingPath: encoder.codingPath, debugDescription: "A CBORValue can only be encoded as CBOR.")
            )
        }
        try encoder.encodeUntyped(self)
    }
}
