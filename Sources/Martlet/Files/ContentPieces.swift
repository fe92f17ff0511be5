#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The items of a channel for one file whose content is here.
struct BytePieces {
    static let size = ContentRecord.pieceSize - 64
    private var checksum = FileChecksum()

    var count: Int { checksum.count }

    mutating func piece(_ part: ArraySlice<UInt8>) -> [UInt8] {
        var packed = PackedBytes()
        packed.bytes.reserveCapacity(part.count + 16)
        begin(&packed)
        part.withUnsafeBytes { checksum.add($0) }
        packed.bytes.append(ContentRecord.data)
        withUnsafeBytes(of: UInt32(part.count).littleEndian) { packed.bytes += $0 }
        packed.bytes += part
        return packed.bytes
    }

    private func begin(_ packed: inout PackedBytes) {
        packed.bytes.append(TreeItem.contents)
        if checksum.count == 0 { packed.bytes += [ContentRecord.file, 0, 0] }
    }

    /// - Parameter isWanted: it was sent at all.
    func last(_ isWanted: Bool) -> [UInt8] {
        var packed = PackedBytes()
        if isWanted {
            begin(&packed)
            packed.bytes.append(ContentRecord.end)
            packed.add(fixed: checksum.value)
        } else {
            packed.bytes.append(TreeItem.contents)
        }
        packed.bytes.append(ContentRecord.done)
        return packed.bytes
    }
}

extension BytePieces {
    /// Of one file that is made now.
    ///
    /// - Parameter checksum: of its content, if that is to be compared.
    static func manifest(_ size: Int, _ checksum: UInt64?) throws(MartletError) -> Manifest {
        let (now, manifest) = (Timestamp.now, Manifest())
        var entry = FileEntry(kind: .file, mode: nil, seconds: now.seconds, nanoseconds: now.nanoseconds, size: size)
        entry.checksum = checksum
        try manifest.add(entry)
        return manifest
    }

    /// Sends the file of such a manifest.
    ///
    /// - Parameters:
    ///   - isEager: the other side is not asked whether it wants it.
    ///   - next: gives its content, in parts of at most ``size``.
    ///   - onProgress: told how much has been sent.
    static func send(
        _ manifest: Manifest, over channel: Channel<[UInt8]>, isEager: Bool,
        _ next: () async throws -> ArraySlice<UInt8>?, _ onProgress: (Int) -> Void
    ) async throws {
        let wanted = try await TreeExchange.offer(manifest, channel, isEager: isEager)
        var pieces = BytePieces()
        while wanted[0], let part = try await next() {
            try await channel.send(pieces.piece(part))
            onProgress(pieces.count)
        }
        try await channel.send(pieces.last(wanted[0]))
    }
}

/// The time.
struct Timestamp {
    var seconds: Int64
    var nanoseconds: UInt32

    static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }
}

/// Reads one file from a transfer, and keeps nothing.
struct ContentReader {
    private(set) var checksum = FileChecksum()
    private var manifest = Manifest()
    private var isDone = false

    mutating func run(_ channel: Channel<[UInt8]>, _ take: (ArraySlice<UInt8>) async throws -> Void) async throws {
        var cursor = ManifestCursor()
        while !isDone {
            guard let item = try await channel.receive() else { throw TreeExchange.brokenOff }
            switch item.first {
            case TreeItem.manifest:
                try manifest.add(piece: item.dropFirst())
                guard let entry = try cursor.next(manifest), entry.kind == .file else {
                    throw MartletError(.fileFailed, "this is a folder: copy it with get")
                }
            case TreeItem.manifestEnd: guard item.last == 1 else { throw PackedReader.damaged }
            case TreeItem.contents: try await records(item, take)
            default: throw PackedReader.damaged
            }
        }
    }

    private mutating func records(
        _ item: [UInt8], _ take: (ArraySlice<UInt8>) async throws -> Void
    ) async throws {
        var offset = 1
        while offset < item.count, !isDone {
            let record = try item.withUnsafeBytes { bytes in
                var reader = PackedReader(bytes, from: offset)
                defer { offset = reader.offset }
                return try self.record(&reader)
            }
            switch record {
            case .data(let range): try await take(item[range])
            case .zeros(var count):
                while count > 0 {
                    let part = min(count, ContentRecord.pieceSize)
                    checksum.add(zeros: part)
                    try Task.checkCancellation()
                    try await take([UInt8](repeating: 0, count: part)[...])
                    count -= part
                }
            case .nothing: break
            }
        }
    }

    private enum Record {
        case data(Range<Int>)
        case zeros(Int)
        case nothing
    }

    private mutating func record(_ reader: inout PackedReader) throws(MartletError) -> Record {
        switch try reader.byte() {
        case ContentRecord.file: _ = (try reader.count(), try reader.count())
        case ContentRecord.data:
            let count = Int(UInt32(littleEndian: try reader.part(4).loadUnaligned(as: UInt32.self)))
            let start = reader.offset
            checksum.add(try reader.part(count))
            return .data(start..<start + count)
        case ContentRecord.hole:
            return .zeros(try reader.count())
        case ContentRecord.end:
            guard try reader.fixed() == checksum.value else {
                throw MartletError(.fileFailed, "it did not arrive as it was sent")
            }
        case ContentRecord.failed: throw TreeExchange.brokenOff
        case ContentRecord.done: isDone = true
        default: throw PackedReader.damaged
        }
        return .nothing
    }
}
