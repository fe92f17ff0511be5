/// Reads CBOR items from bytes that it does not own: the hand-made way, without `Codable`.
///
/// Nothing is believed: every length is held against the bytes that are left before it is used. A read that throws
/// leaves the offset where it was. The memory must outlive the reader; `CBORReader.read(_:_:)` sees to that.
package struct CBORReader {
    // All loads in this file and its extensions come after a check against `count`: that is the safety argument.
    let base: UnsafeRawPointer
    let count: Int
    let maximumDepth: Int
    /// Where the next item starts, in bytes from the start.
    package internal(set) var offset: Int

    package init(_ bytes: UnsafeRawBufferPointer, limits: CBORLimits = .default) {
        // An empty buffer may have no address; no byte of it is ever loaded, so any address will do.
        self.init(
            base: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped,
            count: bytes.count, offset: 0, maximumDepth: limits.maximumDepth
        )
    }

    @inline(__always)
    init(base: UnsafeRawPointer, count: Int, offset: Int, maximumDepth: Int) {
        self.base = base
        self.count = count
        self.offset = offset
        self.maximumDepth = maximumDepth
    }

    /// Reads exactly one message from `bytes`.
    ///
    /// - Throws: What `body` throws, and `CBORError` if `bytes` are more than the limit or go on after what `body`
    ///   read.
    package static func read<R>(
        _ bytes: [UInt8], limits: CBORLimits = .default, _ body: (inout CBORReader) throws -> R
    ) throws -> R {
        guard bytes.count <= limits.maximumByteCount else { throw CBORError(.tooLarge, at: limits.maximumByteCount) }
        return try bytes.withUnsafeBytes { buffer in
            var reader = CBORReader(buffer, limits: limits)
            let result = try body(&reader)
            guard reader.isAtEnd else { throw CBORError(.trailingBytes, at: reader.offset) }
            return result
        }
    }

    package var isAtEnd: Bool { offset == count }

    /// How many bytes are left.
    package var remaining: Int { count &- offset }

    // MARK: Heads

    /// The initial byte of an item with its argument.
    package struct Head {
        package var initial: UInt8
        package var argument: UInt64
        package var major: UInt8 { initial >> 5 }
        package var isIndefinite: Bool { initial & 0x1f == 31 }
    }

    /// The first byte of the next item, without reading it; nil at the end.
    @inline(__always)
    package var peek: UInt8? {
        offset < count ? base.load(fromByteOffset: offset, as: UInt8.self) : nil
    }

    /// The kind of the next item, without reading it; nil at the end.
    package var nextKind: CBORKind? { peek.map(CBORKind.init(initialByte:)) }

    /// Reads an initial byte and its argument. The break code comes back as an indefinite head of major type 7.
    @inline(__always)
    package mutating func readHead() throws(CBORError) -> Head {
        guard offset < count else { throw CBORError(.truncated, at: offset) }
        let initial = base.load(fromByteOffset: offset, as: UInt8.self)
        let short = initial & 0x1f
        if short < 24 {
            offset &+= 1
            return Head(initial: initial, argument: UInt64(short))
        }
        return try readLongHead(initial)
    }

    @inline(never)
    private mutating func readLongHead(_ initial: UInt8) throws(CBORError) -> Head {
        let argument: UInt64
        switch initial & 0x1f {
        case 24:
            argument = UInt64(try loadArgument(UInt8.self))
            // The two-byte form of a simple value below 32 is not well-formed.
            if initial == 0xf8, argument < 32 { throw CBORError(.malformed, at: offset) }
            offset &+= 2
        case 25:
            argument = UInt64(try loadArgument(UInt16.self))
            offset &+= 3
        case 26:
            argument = UInt64(try loadArgument(UInt32.self))
            offset &+= 5
        case 27:
            argument = try loadArgument(UInt64.self)
            offset &+= 9
        case 31:
            let major = initial >> 5
            guard major != 0, major != 1, major != 6 else { throw CBORError(.malformed, at: offset) }
            argument = 0
            offset &+= 1
        default:
            throw CBORError(.malformed, at: offset)
        }
        return Head(initial: initial, argument: argument)
    }

    @inline(__always)
    private func loadArgument<I: FixedWidthInteger>(_: I.Type) throws(CBORError) -> I {
        guard count &- offset > MemoryLayout<I>.size else { throw CBORError(.truncated, at: offset) }
        return I(bigEndian: base.loadUnaligned(fromByteOffset: offset &+ 1, as: I.self))
    }

    /// The error for an item of another kind than the one wanted, of which `head` was just read.
    func mismatch(_ head: Head, at start: Int) -> CBORError {
        if head.initial == 0xff { return CBORError(.unexpectedBreak, at: start) }
        return CBORError(.mismatch(found: CBORKind(initialByte: head.initial)), at: start)
    }

    // MARK: Containers

    /// Reads the head of an array: how many items follow; nil if they go on to a break code.
    package mutating func readArrayHead() throws(CBORError) -> Int? {
        try readContainerHead(4, bytesPerElement: 1)
    }

    /// Reads the head of a map: how many pairs follow; nil if they go on to a break code.
    package mutating func readMapHead() throws(CBORError) -> Int? {
        try readContainerHead(5, bytesPerElement: 2)
    }

    @inline(__always)
    private mutating func readContainerHead(_ major: UInt8, bytesPerElement: UInt64) throws(CBORError) -> Int? {
        let start = offset
        let head = try readHead()
        guard head.major == major else {
            offset = start
            throw mismatch(head, at: start)
        }
        if head.isIndefinite { return nil }
        // No item is shorter than a byte, so a larger claim is false; callers may reserve what is left.
        guard head.argument <= UInt64(remaining) / bytesPerElement else {
            offset = start
            throw CBORError(.truncated, at: start)
        }
        return Int(head.argument)
    }

    /// Reads the break code that ends an indefinite-length item, if it is next.
    package mutating func readBreak() -> Bool {
        guard peek == 0xff else { return false }
        offset &+= 1
        return true
    }

    /// Reads a tag; the tagged item is next.
    package mutating func readTag() throws(CBORError) -> UInt64 {
        let start = offset
        let head = try readHead()
        guard head.major == 6 else {
            offset = start
            throw mismatch(head, at: start)
        }
        return head.argument
    }

    /// Skips the tags before the next item, except those of bignums.
    @inline(__always)
    mutating func skipTags() throws(CBORError) {
        if let first = peek, first >> 5 == 6 { try skipSomeTags() }
    }

    @inline(never)
    private mutating func skipSomeTags() throws(CBORError) {
        var skipped = 0
        while let first = peek, first >> 5 == 6, first != 0xc2, first != 0xc3 {
            skipped += 1
            guard skipped <= maximumDepth else { throw CBORError(.tooDeep, at: offset) }
            _ = try readHead()
        }
    }
}
