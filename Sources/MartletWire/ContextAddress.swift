/// Where a context stands in the tree: the numbers of the children that lead to it from the controller.
///
/// The controller's address is empty (`/`), its third child is `/3`, that child's first child is `/3/1`. A parent
/// numbers its children from 1 and never uses a number again, so an address names one context for ever and routing
/// needs no table: a frame goes down where its destination begins with an address of ours, else up.
///
/// The value holds the wire form itself (one LEB128 number a component, at most ``maximumByteCount`` bytes) inline, so
/// that parsing, comparing and hashing an address allocates nothing.
public struct ContextAddress: Hashable, Sendable {
    /// Bytes of path, the first in the lowest bits of `words.0`; the highest byte of `words.3` is their count.
    @usableFromInline
    var words: (UInt64, UInt64, UInt64, UInt64)

    /// The longest wire form, in bytes: 31 levels of children numbered below 128, 15 below 16,384.
    package static let maximumByteCount = 31

    /// The controller.
    public static let root = ContextAddress()

    package init() {
        words = (0, 0, 0, 0)
    }

    /// The address whose components are `components`.
    ///
    /// - Returns: `nil` if the path is too long or has a zero.
    public init?(_ components: [UInt32]) {
        self.init()
        for component in components {
            guard let next = child(component) else { return nil }
            self = next
        }
    }

    /// The length of the wire form in bytes.
    package var byteCount: Int { Int(words.3 &>> 56) }

    /// True for the controller's address.
    public var isRoot: Bool { words.3 &>> 56 == 0 }

    @inline(__always)
    private func byte(_ index: Int) -> UInt8 {
        let shift = UInt64(index & 7) &* 8
        return switch index &>> 3 {
        case 0: UInt8(truncatingIfNeeded: words.0 &>> shift)
        case 1: UInt8(truncatingIfNeeded: words.1 &>> shift)
        case 2: UInt8(truncatingIfNeeded: words.2 &>> shift)
        default: UInt8(truncatingIfNeeded: words.3 &>> shift)
        }
    }

    @inline(__always)
    private mutating func append(_ byte: UInt8) {
        let count = byteCount
        let bits = UInt64(byte) &<< (UInt64(count & 7) &* 8)
        switch count &>> 3 {
        case 0: words.0 |= bits
        case 1: words.1 |= bits
        case 2: words.2 |= bits
        default: words.3 |= bits
        }
        words.3 &+= 1 &<< 56
    }

    /// The address of this context's child `number`.
    ///
    /// - Returns: `nil` if `number` is 0 or the tree would be too deep.
    public func child(_ number: UInt32) -> ContextAddress? {
        guard number > 0 else { return nil }
        var result = self
        var rest = number
        while true {
            guard result.byteCount < Self.maximumByteCount else { return nil }
            if rest < 0x80 {
                result.append(UInt8(rest))
                return result
            }
            result.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
    }

    /// The numbers from the controller down to this context.
    public var components: [UInt32] {
        var result: [UInt32] = []
        var index = 0
        while index < byteCount { result.append(component(at: &index)) }
        return result
    }

    private func component(at index: inout Int) -> UInt32 {
        var value: UInt32 = 0
        var shift: UInt32 = 0
        while true {
            let next = byte(index)
            index += 1
            value |= UInt32(next & 0x7f) &<< shift
            if next < 0x80 { return value }
            shift &+= 7
        }
    }

    /// The address of the context that started this one; `nil` for the controller.
    public var parent: ContextAddress? {
        guard !isRoot else { return nil }
        var end = byteCount - 1
        while end > 0, byte(end - 1) >= 0x80 { end -= 1 }
        return prefix(byteCount: end)
    }

    private func prefix(byteCount: Int) -> ContextAddress {
        var result = ContextAddress()
        for index in 0..<byteCount { result.append(byte(index)) }
        return result
    }

    /// Whether `other` is this context or one below it.
    package func contains(_ other: ContextAddress) -> Bool {
        let count = byteCount
        guard count <= other.byteCount else { return false }
        // A mask of the first `bytes` bytes of one word.
        func mask(_ bytes: Int) -> UInt64 { bytes >= 8 ? .max : bytes <= 0 ? 0 : (1 &<< (UInt64(bytes) &* 8)) &- 1 }
        let pathOnly: UInt64 = .max &>> 8
        return (words.0 ^ other.words.0) & mask(count) == 0
            && (words.1 ^ other.words.1) & mask(count - 8) == 0
            && (words.2 ^ other.words.2) & mask(count - 16) == 0
            && (words.3 ^ other.words.3) & mask(count - 24) & pathOnly == 0
    }

    /// Whether this context is above `other`: the only position from which it may be told to do something.
    package func isAncestor(of other: ContextAddress) -> Bool {
        byteCount < other.byteCount && contains(other)
    }

    /// The number of the child of this context through which `descendant` is reached.
    package func childNumber(towards descendant: ContextAddress) -> UInt32? {
        guard isAncestor(of: descendant) else { return nil }
        var index = byteCount
        return descendant.component(at: &index)
    }

    // MARK: Wire form

    /// Reads `count` bytes of wire form.
    ///
    /// - Returns: `nil` unless they are a sequence of shortest-form, non-zero 32-bit LEB128 numbers.
    package init?(wire bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.maximumByteCount else { return nil }
        self.init()
        var index = 0
        while index < bytes.count {
            let first = bytes[index]
            if first != 0, first < 0x80 {
                append(first)
                index += 1
                continue
            }
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while true {
                guard index < bytes.count, shift <= 28 else { return nil }
                let next = bytes[index]
                append(next)
                index += 1
                value |= UInt64(next & 0x7f) &<< shift
                if next < 0x80 {
                    guard next != 0, value <= UInt64(UInt32.max) else { return nil }
                    break
                }
                shift &+= 7
            }
        }
    }

    /// Writes the wire form to `destination`, which must have room for ``byteCount`` bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        for index in 0..<byteCount { destination.storeBytes(of: byte(index), toByteOffset: index, as: UInt8.self) }
    }

    /// Whether both name the same context.
    public static func == (a: ContextAddress, b: ContextAddress) -> Bool {
        a.words.0 == b.words.0 && a.words.1 == b.words.1 && a.words.2 == b.words.2 && a.words.3 == b.words.3
    }

    /// Hashes the path.
    public func hash(into hasher: inout Hasher) {
        // Every byte counts: whoever chooses addresses must not be able to choose ones that collide.
        if byteCount < 8 {
            hasher.combine(words.0 | words.3)
        } else {
            hasher.combine(words.0)
            hasher.combine(words.1)
            hasher.combine(words.2)
            hasher.combine(words.3)
        }
    }
}

extension ContextAddress: CustomStringConvertible {
    /// `/3/1`; `/` for the controller.
    public var description: String {
        isRoot ? "/" : components.map { "/\($0)" }.joined()
    }
}

extension ContextAddress: Codable {
    /// From an array of numbers.
    public init(from decoder: any Decoder) throws {
        let components = try decoder.singleValueContainer().decode([UInt32].self)
        guard let address = ContextAddress(components) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a context's address: \(components)")
            )
        }
        self = address
    }

    /// As an array of numbers.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(components)
    }
}
