/// One thing in a tree of files, without its content.
struct FileEntry {
    enum Kind: UInt8 {
        /// The folder that was entered last is over.
        case leave = 0
        case file = 1
        /// What follows is in it, up to its `leave`.
        case folder = 2
        case link = 3
    }

    var kind: Kind
    /// Its number, from 0 on; of a `leave`, that of the next entry.
    var index = 0
    var name: [UInt8] = []
    /// `nil`: the sender knows none.
    var mode: UInt32? = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
    var seconds: Int64 = 0
    var nanoseconds: UInt32 = 0
    var size = 0
    var checksum: UInt64?
    /// Of a link.
    var target: [UInt8] = []
    /// The link's target is a path in the tree, not one of the machine.
    var isInside = false
    /// Of a `leave`: not all that is in the folder could be seen.
    var isIncomplete = false

    static let flag: UInt8 = 8
    static let noMode: UInt8 = 16
}

/// A tree of files, packed: entries, depth first, in the order of their names' bytes. It is made on one side of a transfer,
/// and both keep it until the transfer is over. No entry is in two pieces.
final class Manifest {
    /// In bytes: some millions of files.
    static let limit = 256 << 20
    private static let pieceSize = 64 * 1024
    /// How deep folders may lie in each other.
    static let depthLimit = 256

    private(set) var pieces: [[UInt8]] = []
    private(set) var byteCount = 0
    /// How many entries there are.
    private(set) var count = 0
    private(set) var fileCount = 0

    func add(_ entry: FileEntry) throws(MartletError) {
        if pieces.isEmpty || pieces[pieces.count - 1].count >= Self.pieceSize { pieces.append([]) }
        let last = pieces.count - 1
        let before = pieces[last].count
        var packed = PackedBytes()
        swap(&packed.bytes, &pieces[last])
        defer {
            swap(&packed.bytes, &pieces[last])
            byteCount += pieces[last].count - before
        }
        switch entry.kind {
        case .leave: packed.bytes.append(entry.isIncomplete ? FileEntry.flag : 0)
        case .file, .folder, .link:
            var tag = entry.kind.rawValue
            if entry.checksum != nil || entry.isInside { tag |= FileEntry.flag }
            if entry.mode == nil { tag |= FileEntry.noMode }
            packed.bytes.append(tag)
            packed.add(entry.name)
            packed.add(UInt64(entry.mode ?? 0))
            packed.add(UInt64(entry.user))
            packed.add(UInt64(entry.group))
            packed.add(signed: entry.seconds)
            packed.add(UInt64(entry.nanoseconds))
            if entry.kind == .file {
                packed.add(entry.size)
                if let checksum = entry.checksum { packed.add(fixed: checksum) }
                fileCount += 1
            } else if entry.kind == .link {
                packed.add(entry.target)
            }
            count += 1
        }
        guard byteCount <= Self.limit else { throw Self.tooLarge }
    }

    /// Adds a piece that came from the other side.
    func add(piece: ArraySlice<UInt8>) throws(MartletError) {
        guard !piece.isEmpty else { throw PackedReader.damaged }
        byteCount += piece.count
        guard byteCount <= Self.limit else { throw Self.tooLarge }
        // Small ones together: each costs more than itself.
        if let last = pieces.indices.last, pieces[last].count + piece.count <= Self.pieceSize {
            pieces[last] += piece
        } else {
            pieces.append(Array(piece))
        }
    }

    static let tooLarge = MartletError(
        .limitExceeded, "the names alone of this tree are more than \(limit >> 20) MiB",
        advice: "copy its folders one by one")
}

/// Goes through a manifest, be it while it comes.
struct ManifestCursor {
    private var piece = 0
    private var offset = 0
    private var index = 0
    private var depth = 0

    /// - Returns: `nil` where there is no more, or not yet.
    mutating func next(_ manifest: Manifest) throws(MartletError) -> FileEntry? {
        while piece < manifest.pieces.count, offset >= manifest.pieces[piece].count { (piece, offset) = (piece + 1, 0) }
        guard piece < manifest.pieces.count else { return nil }
        var entry = FileEntry(kind: .leave)
        var failure: MartletError?
        manifest.pieces[piece].withUnsafeBytes { bytes in
            var reader = PackedReader(bytes, from: offset)
            do throws(MartletError) { entry = try Self.read(&reader) } catch { failure = error }
            offset = reader.offset
        }
        if let failure { throw failure }
        entry.index = index
        guard entry.kind == .leave ? depth > 0 : depth > 0 || index == 0 else { throw PackedReader.damaged }
        if entry.kind == .leave { depth -= 1 } else { index += 1 }
        if entry.kind == .folder { depth += 1 }
        guard depth <= Manifest.depthLimit else {
            throw MartletError(.limitExceeded, "a tree of files is more than \(Manifest.depthLimit) folders deep")
        }
        // Only the first may have a name that is none: who gets it may give it another.
        guard entry.kind == .leave || entry.index == 0 || entry.name.isFileName else {
            throw MartletError(
                .protocolViolation, "the other side sent \"\(entry.name.shown)\" as the name of a file in a folder")
        }
        return entry
    }

    /// Whether the whole tree was seen.
    var isAtEnd: Bool { depth == 0 && index > 0 }

    private static func read(_ reader: inout PackedReader) throws(MartletError) -> FileEntry {
        let tag = try reader.byte()
        guard let kind = FileEntry.Kind(rawValue: tag & 7) else { throw PackedReader.damaged }
        var entry = FileEntry(kind: kind)
        if kind == .leave {
            entry.isIncomplete = tag & FileEntry.flag != 0
            return entry
        }
        entry.name = try reader.string()
        let mode = try reader.small() & 0o7777
        entry.mode = tag & FileEntry.noMode != 0 ? nil : mode
        entry.user = try reader.small()
        entry.group = try reader.small()
        entry.seconds = try reader.signed()
        entry.nanoseconds = min(try reader.small(), 999_999_999)
        if kind == .file {
            entry.size = try reader.count()
            if tag & FileEntry.flag != 0 { entry.checksum = try reader.fixed() }
        } else if kind == .link {
            entry.target = try reader.string()
            entry.isInside = tag & FileEntry.flag != 0
        }
        return entry
    }
}

/// Which files' contents a receiver wants.
struct WantedFiles {
    /// What is there of a file.
    struct Part: Equatable {
        var count: Int
        var checksum: UInt64
    }

    /// By the entries' numbers.
    private(set) var bits: [UInt8] = []
    /// What is there of some.
    var parts: [Int: Part] = [:]

    subscript(_ index: Int) -> Bool {
        get { index >> 3 < bits.count && bits[index >> 3] & 1 << UInt8(index & 7) != 0 }
        set {
            while bits.count <= index >> 3 { bits.append(0) }
            if newValue {
                bits[index >> 3] |= 1 << UInt8(index & 7)
            } else {
                bits[index >> 3] &= ~(1 << UInt8(index & 7))
            }
        }
    }

    /// Whether both can get the same: of a file that both want, both have the same part, or none.
    func agrees(with other: WantedFiles) -> Bool {
        parts.allSatisfy { !other[$0] || other.parts[$0] == $1 }
            && other.parts.allSatisfy { !self[$0] || parts[$0] == $1 }
    }

    /// All of both, which agree.
    mutating func formUnion(_ other: WantedFiles) {
        while bits.count < other.bits.count { bits.append(0) }
        for index in other.bits.indices { bits[index] |= other.bits[index] }
        parts.merge(other.parts) { part, _ in part }
    }

    var packed: [UInt8] {
        var packed = PackedBytes()
        packed.add(parts.count)
        for (index, part) in parts {
            packed.add(index)
            packed.add(part.count)
            packed.add(fixed: part.checksum)
        }
        packed.add(bits)
        return packed.bytes
    }

    init() {}

    init(packed bytes: [UInt8]) throws(MartletError) {
        var failure: MartletError?
        bytes.withUnsafeBytes { bytes in
            var reader = PackedReader(bytes)
            do throws(MartletError) {
                for _ in 0..<(try reader.count()) {
                    let index = try reader.count()
                    parts[index] = Part(count: try reader.count(), checksum: try reader.fixed())
                }
                bits = try reader.string()
            } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
