/// Where the keys and values of one map are.
///
/// One pass over the map makes it, checks that the map is well-formed and finds duplicate keys. Keys are equal when
/// their bytes are: texts are not normalised. Few keys are searched in a row, many by bisection, so no input makes a
/// lookup slow.
struct CBORMapIndex {
    enum KeyKind: UInt8 {
        case text, integer, other
    }

    /// Offsets of 32 bits, because a map of many tiny pairs should not cost many times its size.
    struct Entry {
        /// A text key's content, any other key's whole encoding.
        var keyStart: UInt32
        var keyCount: UInt32
        var value: UInt32
        var kind: KeyKind
    }

    /// In the order of the input.
    private(set) var entries: [Entry] = []
    /// The indices of `entries` in the order of their keys, if they are many.
    private var sorted: [UInt32] = []
    private(set) var hasIntegerKeys = false
    private static let few = 12

    /// Reads the map that is next in `reader`, at `depth`.
    init(_ reader: inout CBORReader, depth: Int) throws(CBORError) {
        let start = reader.offset
        guard depth < reader.maximumDepth else { throw CBORError(.tooDeep, at: start) }
        if let count = try reader.readMapHead() {
            // The head's claim is at most half of the bytes that are left; even so, reserve for plausible sizes only.
            entries.reserveCapacity(min(count, 64))
            for _ in 0..<count { try add(&reader, depth + 1) }
        } else {
            while !reader.readBreak() { try add(&reader, depth + 1) }
        }
        if entries.count > Self.few { try sort(reader.base) }
    }

    @inline(__always)
    private mutating func add(_ reader: inout CBORReader, _ depth: Int) throws(CBORError) {
        let start = reader.offset
        var entry = Entry(keyStart: 0, keyCount: 0, value: 0, kind: .text)
        guard let first = reader.peek else { throw CBORError(.truncated, at: start) }
        if first >> 5 == 3 {
            guard let piece = try reader.readPiece(3) else { throw CBORError(.chunkedKey, at: start) }
            guard CBORReader.isASCII(piece) || CBORReader.makeText(piece) != nil else {
                throw CBORError(.invalidUTF8, at: start)
            }
            entry.keyCount = UInt32(truncatingIfNeeded: piece.count)
            entry.keyStart = UInt32(truncatingIfNeeded: reader.offset &- piece.count)
        } else {
            if first == 0xff { throw CBORError(.unexpectedBreak, at: start) }
            entry.kind = first >> 5 <= 1 ? .integer : .other
            if entry.kind == .integer { hasIntegerKeys = true }
            try reader.skipItem(depth)
            entry.keyStart = UInt32(truncatingIfNeeded: start)
            entry.keyCount = UInt32(truncatingIfNeeded: reader.offset &- start)
        }
        entry.value = UInt32(truncatingIfNeeded: reader.offset)
        try reader.skipItem(depth)
        if entries.count < Self.few {
            for other in entries where other.keyCount == entry.keyCount || entry.kind == .integer {
                if Self.compare(other, entry, reader.base) == 0 { throw CBORError(.duplicateKey, at: start) }
            }
        }
        entries.append(entry)
    }

    private mutating func sort(_ base: UnsafeRawPointer) throws(CBORError) {
        sorted = Array(0..<UInt32(entries.count))
        let entries = entries
        sorted.sort { Self.compare(entries[Int($0)], entries[Int($1)], base) < 0 }
        for (a, b) in zip(sorted, sorted.dropFirst())
        where Self.compare(entries[Int(a)], entries[Int(b)], base) == 0 {
            throw CBORError(.duplicateKey, at: Int(max(entries[Int(a)].keyStart, entries[Int(b)].keyStart)))
        }
    }

    // MARK: Lookup

    /// Where the value of the key is, if the map has it: by its text, else by its integer.
    func find(_ key: some CodingKey, _ base: UnsafeRawPointer) -> Int? {
        var name = key.stringValue
        let found = name.withUTF8 { utf8 in
            search { entry in
                guard entry.kind == .text else { return 1 }
                return Self.compare(
                    base + Int(entry.keyStart), Int(entry.keyCount),
                    // An empty buffer may have no address; nothing of it is loaded then.
                    UnsafeRawPointer(utf8.baseAddress) ?? base, utf8.count
                )
            }
        }
        if found != nil || !hasIntegerKeys { return found }
        guard let number = key.intValue else { return nil }
        return search { entry in
            switch entry.kind {
            case .text: return -1
            case .other: return 1
            case .integer:
                let (isNegative, magnitude) = Self.integer(entry, base)
                let wanted = UInt64(bitPattern: Int64(number < 0 ? ~number : number))
                return Self.order((isNegative, magnitude), (number < 0, wanted))
            }
        }
    }

    /// `compare` says whether an entry is before (negative) or after (positive) the one that is sought.
    @inline(__always)
    private func search(_ compare: (Entry) -> Int) -> Int? {
        if sorted.isEmpty {
            for entry in entries where compare(entry) == 0 { return Int(entry.value) }
            return nil
        }
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            let entry = entries[Int(sorted[middle])]
            let order = compare(entry)
            if order == 0 { return Int(entry.value) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    // MARK: Order

    /// Texts, then integers, then all else; each kind by its content.
    @inline(__always)
    private static func compare(_ a: Entry, _ b: Entry, _ base: UnsafeRawPointer) -> Int {
        if a.kind != b.kind { return Int(a.kind.rawValue) - Int(b.kind.rawValue) }
        // The same integer may be written in several ways.
        if a.kind == .integer { return order(integer(a, base), integer(b, base)) }
        return compare(base + Int(a.keyStart), Int(a.keyCount), base + Int(b.keyStart), Int(b.keyCount))
    }

    private static func integer(_ entry: Entry, _ base: UnsafeRawPointer) -> (isNegative: Bool, magnitude: UInt64) {
        let start = Int(entry.keyStart)
        var reader = CBORReader(base: base, count: start + Int(entry.keyCount), offset: start, maximumDepth: 0)
        // It was read before, so it can be read again.
        guard let head = try? reader.readHead() else { return (false, 0) }
        return (head.major == 1, head.argument)
    }

    private static func order(_ a: (Bool, UInt64), _ b: (Bool, UInt64)) -> Int {
        if a.0 != b.0 { return a.0 ? 1 : -1 }
        return a.1 == b.1 ? 0 : a.1 < b.1 ? -1 : 1
    }

    /// Compares bytes, a shorter string before a longer one.
    @inline(__always)
    private static func compare(_ a: UnsafeRawPointer, _ aCount: Int, _ b: UnsafeRawPointer, _ bCount: Int) -> Int {
        if aCount != bCount { return aCount - bCount }
        var index = 0
        while index &+ 8 <= aCount {
            let x = a.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let y = b.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if x != y { return x.bigEndian < y.bigEndian ? -1 : 1 }
            index &+= 8
        }
        while index < aCount {
            let x = a.load(fromByteOffset: index, as: UInt8.self)
            let y = b.load(fromByteOffset: index, as: UInt8.self)
            if x != y { return Int(x) - Int(y) }
            index &+= 1
        }
        return 0
    }
}
