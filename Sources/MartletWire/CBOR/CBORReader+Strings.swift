extension CBORReader {
    /// Reads a byte string, in one piece or in several.
    package mutating func readBytes() throws(CBORError) -> [UInt8] {
        let start = offset
        if let piece = try readPiece(2) { return [UInt8](piece) }
        var result: [UInt8] = []
        try readPieces(2, from: start) { (piece) throws(CBORError) in result.append(contentsOf: piece) }
        return result
    }

    /// Reads a byte string in one piece without copying it. The memory is the reader's own.
    package mutating func readByteSlice() throws(CBORError) -> UnsafeRawBufferPointer {
        let start = offset
        if let piece = try readPiece(2) { return piece }
        offset = start
        throw CBORError(.mismatch(found: .bytes), at: start)
    }

    /// Reads a text, in one piece or in several.
    @inline(__always)
    package mutating func readText() throws(CBORError) -> String {
        let start = offset
        if let piece = try readPiece(3) {
            if let text = Self.makeText(piece) { return text }
            offset = start
            throw CBORError(.invalidUTF8, at: start)
        }
        return try readLongText(from: start)
    }

    /// The text that has these bytes; nil if they are not UTF-8.
    static func makeText(_ utf8: UnsafeRawBufferPointer) -> String? {
        // Nearly all text is ASCII, for which there is a faster way than the validating one.
        guard isASCII(utf8) else { return String(validating: utf8, as: UTF8.self) }
        return utf8.withMemoryRebound(to: UInt8.self) { String(decoding: $0, as: UTF8.self) }
    }

    @inline(__always)
    static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index &+ 8 <= bytes.count {
            if bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return false }
            index &+= 8
        }
        while index < bytes.count {
            if bytes[index] >= 0x80 { return false }
            index &+= 1
        }
        return true
    }

    @inline(never)
    private mutating func readLongText(from start: Int) throws(CBORError) -> String {
        var result = ""
        try readPieces(3, from: start) { (piece) throws(CBORError) in
            guard let text = Self.makeText(piece) else { throw CBORError(.invalidUTF8, at: start) }
            result += text
        }
        return result
    }

    /// Reads a text in one piece without copying or checking it. The memory is the reader's own.
    @inline(__always)
    package mutating func readTextSlice() throws(CBORError) -> UnsafeRawBufferPointer {
        let start = offset
        if let piece = try readPiece(3) { return piece }
        offset = start
        throw CBORError(.mismatch(found: .text), at: start)
    }

    /// Reads a string of one piece; nil, with the head read, if it comes in several.
    @inline(__always)
    mutating func readPiece(_ major: UInt8) throws(CBORError) -> UnsafeRawBufferPointer? {
        let start = offset
        let head = try readHead()
        guard head.major == major else {
            offset = start
            throw mismatch(head, at: start)
        }
        if head.isIndefinite { return nil }
        guard head.argument <= UInt64(remaining) else {
            offset = start
            throw CBORError(.truncated, at: start)
        }
        let length = Int(head.argument)
        let piece = UnsafeRawBufferPointer(start: base + offset, count: length)
        offset &+= length
        return piece
    }

    @inline(never)
    private mutating func readPieces(
        _ major: UInt8, from start: Int, _ body: (UnsafeRawBufferPointer) throws(CBORError) -> Void
    ) throws(CBORError) {
        do throws(CBORError) {
            while !readBreak() {
                let place = offset
                // A piece may not itself come in pieces.
                guard let piece = try readPiece(major) else { throw CBORError(.malformed, at: place) }
                try body(piece)
            }
        } catch {
            offset = start
            guard case .mismatch = error.reason else { throw error }
            throw CBORError(.malformed, at: error.offset)
        }
    }
}
