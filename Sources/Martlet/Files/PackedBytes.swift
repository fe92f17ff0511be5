/// What several things are written into, one behind the other: numbers in LEB128, byte strings with their length in front.
struct PackedBytes {
    var bytes: [UInt8] = []

    mutating func add(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func add(_ number: Int) { add(UInt64(bitPattern: Int64(number))) }

    /// Small numbers of either sign stay short.
    mutating func add(signed number: Int64) { add(UInt64(bitPattern: number << 1 ^ number >> 63)) }

    /// Eight bytes.
    mutating func add(fixed number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func add(_ string: [UInt8]) {
        add(string.count)
        bytes += string
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }
}

/// Reads what ``PackedBytes`` wrote; it may come from whoever likes to lie.
struct PackedReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int

    init(_ bytes: UnsafeRawBufferPointer, from offset: Int = 0) { (self.bytes, self.offset) = (bytes, offset) }

    var isAtEnd: Bool { offset >= bytes.count }

    static let damaged = MartletError(.protocolViolation, "what came of a file transfer cannot be read")

    mutating func byte() throws(MartletError) -> UInt8 {
        guard offset < bytes.count else { throw Self.damaged }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func number() throws(MartletError) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            let byte = try byte()
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
            shift += 7
        }
        throw Self.damaged
    }

    /// A size or a count: never negative.
    mutating func count() throws(MartletError) -> Int {
        guard let count = Int(exactly: try number()) else { throw Self.damaged }
        return count
    }

    mutating func signed() throws(MartletError) -> Int64 {
        let number = try number()
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }

    mutating func small() throws(MartletError) -> UInt32 {
        guard let number = UInt32(exactly: try number()) else { throw Self.damaged }
        return number
    }

    mutating func fixed() throws(MartletError) -> UInt64 {
        UInt64(littleEndian: try part(8).loadUnaligned(as: UInt64.self))
    }

    mutating func part(_ count: Int) throws(MartletError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - offset else { throw Self.damaged }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    mutating func string() throws(MartletError) -> [UInt8] { Array(try part(try count())) }

    mutating func text() throws(MartletError) -> String { String(decoding: try part(try count()), as: UTF8.self) }
}
