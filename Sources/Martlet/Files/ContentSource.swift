import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the contents of files are sent as.
enum ContentRecord {
    /// A file begins: its number, and the offset from which on its content follows.
    static let file: UInt8 = 1
    /// A length, four bytes, and so many bytes of it.
    static let data: UInt8 = 2
    /// So many bytes are zero.
    static let hole: UInt8 = 3
    /// It is whole: its checksum.
    static let end: UInt8 = 4
    /// It cannot be read: its number, and why. It may have begun.
    static let failed: UInt8 = 5
    /// No more files.
    static let done: UInt8 = 6

    /// How long an item of the channel is at most, in bytes.
    static let pieceSize = 1 << 20
    /// From here on none begins another file: what takes them in is to begin soon.
    static let fillSize = 256 * 1024
}

/// Reads the files of a tree that the other side wants, many small ones into one piece. It blocks.
final class ContentSource {
    private let manifest: Manifest
    private let root: [UInt8]
    private let wanted: WantedFiles
    private let followsLinks: Bool
    private var cursor = ManifestCursor()
    /// The folders from the root to where the cursor is; the first is the root. -1: not opened.
    private var folders: [(name: [UInt8], descriptor: Int32)] = []
    private var current: Current?
    private var isDone = false
    private(set) var progress = (files: 0, bytes: 0, path: [UInt8]())
    /// What is wanted.
    private(set) var totals = (files: 0, bytes: 0)
    private(set) var failures: [FileFailure] = []

    private final class Current {
        let index: Int
        let path: [UInt8]
        let source: FileSource
        var checksum = FileChecksum()
        /// Where the content ends that is being read; `nil`: nobody knows, it is read to its end.
        var dataEnd: Int?

        init(_ index: Int, _ path: [UInt8], _ source: FileSource) {
            self.index = index
            self.path = path
            self.source = source
        }
    }

    /// - Parameter root: what the manifest's first entry stands for.
    init(_ manifest: Manifest, _ root: [UInt8], _ wanted: WantedFiles, followsLinks: Bool) {
        (self.manifest, self.root, self.wanted, self.followsLinks) = (manifest, root, wanted, followsLinks)
        var cursor = ManifestCursor()
        while let entry = (try? cursor.next(manifest)) ?? nil {
            if entry.kind == .file, wanted[entry.index] { totals = (totals.files + 1, totals.bytes &+ entry.size) }
        }
    }

    deinit { for folder in folders { closeDescriptor(folder.descriptor) } }

    /// - Returns: the next item for the channel, `nil` behind the last.
    func next(_ tag: UInt8) throws(MartletError) -> [UInt8]? {
        guard !isDone else { return nil }
        var failure: MartletError?
        let piece = [UInt8](unsafeUninitializedCapacity: ContentRecord.pieceSize) { room, count in
            room[0] = tag
            count = 1
            do throws(MartletError) { try fill(UnsafeMutableRawBufferPointer(room), &count) } catch { failure = error }
        }
        if let failure { throw failure }
        return piece
    }

    private func fill(_ room: UnsafeMutableRawBufferPointer, _ count: inout Int) throws(MartletError) {
        func add(_ tag: UInt8, _ body: (inout PackedBytes) -> Void) {
            var packed = PackedBytes(bytes: [tag])
            body(&packed)
            room.baseAddress!.advanced(by: count).copyMemory(from: packed.bytes, byteCount: packed.bytes.count)
            count += packed.bytes.count
        }
        func fail(_ index: Int, _ path: [UInt8], _ reason: String) {
            if failures.count < FileFailure.limit { failures.append(FileFailure(path: path, reason: reason)) }
            add(ContentRecord.failed) { packed in
                packed.add(index)
                packed.add(String(decoding: reason.utf8.prefix(200), as: UTF8.self))
            }
            current = nil
        }
        // What stands in front of the content must fit too.
        while room.count - count > 4096, current != nil || count < ContentRecord.fillSize {
            guard let file = current else {
                guard let entry = try nextWanted() else {
                    add(ContentRecord.done) { _ in }
                    isDone = true
                    return
                }
                let path = relative(entry)
                do throws(FileError) {
                    let (file, start) = try begin(entry, path)
                    current = file
                    add(ContentRecord.file) { packed in
                        packed.add(entry.index)
                        packed.add(start)
                    }
                    progress = (progress.files, progress.bytes + start, path)
                } catch { fail(entry.index, path, error.number == ENOENT ? "it has vanished" : error.reason) }
                continue
            }
            let expected = Int(file.source.status.size)
            // Files of the kernel's own say that they are empty.
            if expected > 0, file.checksum.count == expected {
                if let reason = change(file) {
                    fail(file.index, file.path, reason)
                } else {
                    end(file, add)
                }
                continue
            }
            if let hole = hole(file), hole > 0 {
                add(ContentRecord.hole) { $0.add(hole) }
                file.checksum.add(zeros: hole)
                progress.bytes += hole
                continue
            }
            let start = count + 5
            let limit = expected > 0 ? min(file.dataEnd ?? expected, expected) - file.checksum.count : Int.max
            let part = readSome(file.source.descriptor, room.baseAddress! + start, min(room.count - start, limit))
            if part < 0 {
                fail(file.index, file.path, SystemError.text(Int32(-part)))
            } else if part == 0 {
                // The kernel's own files say a size that they do not have.
                if expected > 0, descriptorStatus(file.source.descriptor).size < file.source.status.size {
                    fail(file.index, file.path, "it became shorter while it was read")
                } else {
                    end(file, add)
                }
            } else {
                file.checksum.add(UnsafeRawBufferPointer(rebasing: room[start..<start + part]))
                room[count] = ContentRecord.data
                room.storeBytes(of: UInt32(part).littleEndian, toByteOffset: count + 1, as: UInt32.self)
                count = start + part
                progress.bytes += part
            }
        }
    }

    private func end(_ file: Current, _ add: (UInt8, (inout PackedBytes) -> Void) -> Void) {
        add(ContentRecord.end) { $0.add(fixed: file.checksum.value) }
        progress.files += 1
        current = nil
    }

    /// Why what was read is no state that the file ever had. One that only grew, as logs do, was read up to where it ended.
    private func change(_ file: Current) -> String? {
        let (before, after) = (file.source.status, descriptorStatus(file.source.descriptor))
        guard after.size >= before.size else { return "it became shorter while it was read" }
        let isSame = (after.seconds, after.nanoseconds) == (before.seconds, before.nanoseconds)
        return isSame || after.size > before.size ? nil : "it changed while it was read"
    }

    /// How far it is to the next content; 0 if that is here.
    private func hole(_ file: Current) -> Int? {
        guard file.source.status.is_sparse, file.checksum.count >= file.dataEnd ?? 0 else { return nil }
        let here = file.checksum.count
        let size = Int(file.source.status.size)
        var end: Int64 = 0
        let start = martlet_next_data(file.source.descriptor, Int64(here), &end)
        guard start >= 0 else {
            // Not known here: all of it is content.
            file.dataEnd = size
            _ = lseek(file.source.descriptor, off_t(here), SEEK_SET)
            return nil
        }
        if start == .max || start >= Int64(size) {
            _ = lseek(file.source.descriptor, off_t(size), SEEK_SET)
            file.dataEnd = size
            return size - here
        }
        file.dataEnd = Int(min(end, Int64(size)))
        _ = lseek(file.source.descriptor, off_t(start), SEEK_SET)
        return Int(start) - here
    }

    private func begin(_ entry: FileEntry, _ path: [UInt8]) throws(FileError) -> (Current, Int) {
        let source: FileSource
        if folders.isEmpty {
            source = try FileSource(root)
        } else {
            source = try FileSource(try folder(), entry.name, follows: followsLinks, path)
        }
        let file = Current(entry.index, path, source)
        guard let part = wanted.parts[entry.index], part.count > 0, part.count <= Int(file.source.status.size) else {
            return (file, 0)
        }
        var checksum = FileChecksum()
        if checksum.add(contentOf: file.source.descriptor, limit: part.count) == 0, checksum.count == part.count,
            checksum.value == part.checksum
        {
            file.checksum = checksum
            return (file, part.count)
        }
        guard lseek(file.source.descriptor, 0, SEEK_SET) == 0 else { throw FileError("read", path, errno) }
        return (file, 0)
    }

    /// Where the next content that is wanted is.
    private func nextWanted() throws(MartletError) -> FileEntry? {
        while let entry = try cursor.next(manifest) {
            switch entry.kind {
            case .folder: folders.append((entry.name, -1))
            case .leave: closeDescriptor(folders.removeLast().descriptor)
            case .link: break
            case .file: if wanted[entry.index] { return entry }
            }
        }
        return nil
    }

    private func relative(_ entry: FileEntry) -> [UInt8] {
        folders.isEmpty
            ? [] : folders.dropFirst().reduce([UInt8]()) { $0.appending(path: $1.name) }.appending(path: entry.name)
    }

    /// The folder that the cursor is in.
    private func folder() throws(FileError) -> Int32 {
        for level in folders.indices where folders[level].descriptor < 0 {
            let opened =
                level == 0
                ? openFolder(AT_FDCWD, root, follows: true)
                : openFolder(folders[level - 1].descriptor, folders[level].name, follows: followsLinks)
            guard opened >= 0 else { throw FileError("read", folders[level].name, errno) }
            folders[level].descriptor = opened
        }
        return folders[folders.count - 1].descriptor
    }
}
