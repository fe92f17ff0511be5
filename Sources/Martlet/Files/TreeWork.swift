import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Does what the plan says, as the contents come.
final class TreeWork {
    /// A folder on the way to where the work is; it is opened when something in it is to be done.
    private struct Folder {
        var entry: FileEntry
        var name: [UInt8]
        var path: [UInt8]
        var step: TreeTarget.Step
        var descriptor: Int32 = -1
        var failure: FileError?
        /// Its status before anything was done.
        var old: martlet_file?
        var parts = PartialFiles()
    }

    private enum Current {
        case none
        case file(FileTarget, FileEntry, [UInt8], FileChecksum)
        /// It cannot be written, or is not wanted.
        case skipped
    }

    private unowned let target: TreeTarget
    private var cursor = ManifestCursor()
    private var folders: [Folder] = []
    private var current = Current.none
    /// How many of the files that are wanted were begun, or said to have failed.
    private var answered = 0
    /// Of a single file.
    private var parts = PartialFiles()
    private(set) var isDone = false
    private(set) var progress = (files: 0, bytes: 0, path: [UInt8]())

    init(_ target: TreeTarget) { self.target = target }

    deinit {
        current = .none
        for folder in folders { closeDescriptor(folder.descriptor) }
    }

    private var options: FileOptions { target.options }

    // MARK: What comes

    /// Takes an item of contents, from `offset` on.
    func take(_ piece: [UInt8], from offset: Int) throws(MartletError) {
        try target.telling {
            try piece.withUnsafeBytes { bytes in
                var reader = PackedReader(bytes, from: offset)
                while !reader.isAtEnd {
                    guard !isDone else { throw PackedReader.damaged }
                    try record(&reader)
                }
            }
        }
    }

    private func record(_ reader: inout PackedReader) throws {
        switch try reader.byte() {
        case ContentRecord.file:
            let (index, start) = (try reader.count(), try reader.count())
            try begin(index, start)
        case ContentRecord.data:
            let head = try reader.part(4)
            let count = Int(UInt32(littleEndian: head.loadUnaligned(as: UInt32.self)))
            let data = try reader.part(count)
            guard case .file(let file, let entry, let path, var checksum) = current else { return }
            // Not to be copied when it changes.
            current = .none
            checksum.add(data)
            current = .file(file, entry, path, checksum)
            try check(file.write(data), path)
            progress.bytes &+= count
        case ContentRecord.hole:
            let count = try reader.count()
            guard case .file(let file, let entry, let path, var checksum) = current else { return }
            current = .none
            let number = file.skip(count)
            // Not before the system has taken it: a hole may be of any size.
            if number == 0 { checksum.add(zeros: count) }
            try Task.checkCancellation()
            current = .file(file, entry, path, checksum)
            try check(number, path)
            progress.bytes &+= count
        case ContentRecord.end:
            let wanted = try reader.fixed()
            guard case .file(let file, let entry, let path, let checksum) = current else { return current = .none }
            current = .none
            try finish(file, entry, path, checksum, wanted)
        case ContentRecord.failed:
            let index = try reader.count()
            let reason = try reader.text()
            try failed(index, reason)
        case ContentRecord.done:
            try leaveFile()
            try advance(to: nil)
            guard options.contains(.isDryRun) || answered == target.report.wantedFiles else {
                throw PackedReader.damaged
            }
            isDone = true
        default: throw PackedReader.damaged
        }
    }

    /// Whatever comes behind a file: it has ended, or this is its failure. Else it goes before its folder is left.
    private func leaveFile(failed index: Int? = nil) throws(MartletError) {
        defer { current = .none }
        if case .file(_, let entry, _, _) = current, entry.index != index { throw PackedReader.damaged }
    }

    private func check(_ number: Int32, _ path: [UInt8]) throws {
        guard number != 0 else { return }
        current = .skipped
        try target.fail(path, FileError("write", target.shown(path), number))
    }

    private func begin(_ index: Int, _ start: Int) throws {
        try leaveFile()
        current = .skipped
        guard target.wanted[index] else { return }
        let entry = try advance(to: index)
        let path = path(entry)
        do throws(FileError) {
            let (folder, name) = try place(entry)
            let part = target.partName(entry)
            // What is there may be more private than what the umask leaves.
            let isOpen = target.step(index) == .create && mayBeRead(entry)
            let file = try FileTarget(
                in: folder, name, target.shown(path), expecting: entry.size, mode: isOpen ? 0o666 : 0o600,
                partial: part)
            var checksum = FileChecksum()
            if part != nil || start > 0 {
                guard file.count >= start, let there = file.resume(at: start) else {
                    throw FileError("write", target.shown(path), 0, "what was there of it is not there any more")
                }
                checksum = there
            }
            if let part { removeParts(of: entry, but: part) }
            progress = (progress.files, progress.bytes &+ start, path)
            current = .file(file, entry, path, checksum)
        } catch { try target.fail(path, error) }
    }

    /// It gets the mode that the umask leaves, so it may have that from the beginning.
    private func mayBeRead(_ entry: FileEntry) -> Bool { entry.mode == nil && options.mode == nil }

    private func finish(
        _ file: FileTarget, _ entry: FileEntry, _ path: [UInt8], _ checksum: FileChecksum, _ wanted: UInt64
    ) throws {
        do throws(FileError) {
            guard checksum.value == wanted else {
                file.discard()
                throw FileError("write", target.shown(path), 0, "it did not arrive as it was sent")
            }
            let (folder, name) = try place(entry)
            let step = target.step(entry.index)
            let (old, number) = step == .create ? (martlet_file(), ENOENT) : fileStatus(folder, name, follows: false)
            let isThere = number == 0 && old.kind == UInt32(MARTLET_FILE) && !isStrangers(old, in: folder)
            if step == .replace { try target.removal.makeRoom(folder, name, path) }
            try file.commit(
                mode: target.mode(entry, isThere ? old : nil), owner: target.owner(entry), keeping: isThere ? old : nil,
                modified: options.contains(.preservesTimes) ? (entry.seconds, entry.nanoseconds) : nil,
                isDurable: target.isSingle && options.contains(.isDurable), replaces: options.comparison != .never)
            progress.files += 1
            target.report.checksum = checksum.value
            target.report.fileCount += 1
            target.report.byteCount &+= checksum.count
            if checksum.count >= PartialFiles.soughtFrom, !options.contains(.resumes) { removeParts(of: entry) }
        } catch  where error.number == EEXIST && options.comparison == .never {
            // It has come meanwhile.
            if target.isSingle { throw target.alreadyThere }
        } catch { try target.fail(path, error) }
    }

    /// - Parameter part: stays.
    private func removeParts(of entry: FileEntry, but part: [UInt8]? = nil) {
        if entry.index == 0 {
            parts.remove(of: target.rootName, but: part, in: target.parent)
        } else {
            let level = folders.count - 1
            folders[level].parts.remove(of: entry.name, but: part, in: folders[level].descriptor)
        }
    }

    private func failed(_ index: Int, _ reason: String) throws {
        try leaveFile(failed: index)
        guard target.wanted[index] else { return }
        let entry = try advance(to: index)
        let path = path(entry)
        // The sender says why.
        guard !target.isSingle else { throw TreeExchange.brokenOff }
        target.report.fail(path, reason)
    }

    // MARK: What is done on the way

    private var last: FileEntry?

    /// Does all up to an entry, which is a file that is wanted, or up to the end.
    @discardableResult
    private func advance(to index: Int?) throws -> FileEntry {
        if let last, last.index == index { return last }
        while let entry = try cursor.next(target.manifest) {
            if entry.kind == .file, entry.index == index {
                last = entry
                answered += 1
                return entry
            }
            guard !options.contains(.isDryRun) else { continue }
            try pass(entry)
        }
        guard index == nil else { throw PackedReader.damaged }
        return FileEntry(kind: .leave)
    }

    private func pass(_ entry: FileEntry) throws {
        switch entry.kind {
        case .leave: try leave()
        case .folder: try enter(entry)
        case .file:
            guard target.step(entry.index) == .metadata else { return }
            let path = path(entry)
            do throws(FileError) {
                let (folder, name) = try place(entry)
                try setMetadata(folder, name, entry, path)
            } catch { try target.fail(path, error) }
        case .link:
            let step = target.step(entry.index)
            guard step == .create || step == .update || step == .replace else { return }
            let path = path(entry)
            do throws(FileError) { try link(entry, path, step) } catch { try target.fail(path, error) }
        }
    }

    private func link(_ entry: FileEntry, _ path: [UInt8], _ step: TreeTarget.Step) throws(FileError) {
        let (folder, name) = try place(entry)
        func make(_ name: [UInt8]) -> Int32 {
            withPath(target.linkTarget(entry)) { to in withPath(name) { symlinkat(to, folder, $0) } } == 0 ? 0 : errno
        }
        func settle(_ name: [UInt8]) {
            if let (user, group) = target.owner(entry) {
                _ = withPath(name) { fchownat(folder, $0, user, group, AT_SYMLINK_NOFOLLOW) }
            }
            if options.contains(.preservesTimes) {
                _ = withPath(name) { martlet_set_modified(folder, $0, entry.seconds, entry.nanoseconds) }
            }
        }
        if step == .create {
            let number = make(name)
            if number == 0 { return settle(name) }
            guard number == EEXIST else { throw FileError("write", target.shown(path), number) }
            if options.comparison == .never { return }
        }
        let temporary = FileTarget.temporaryName(for: name)
        let number = make(temporary)
        guard number == 0 else { throw FileError("write", target.shown(path), number) }
        settle(temporary)
        do throws(FileError) {
            if step == .replace { try target.removal.makeRoom(folder, name, path) }
            guard withPath(temporary, { from in withPath(name) { renameat(folder, from, folder, $0) } }) == 0 else {
                throw FileError("write", target.shown(path), errno)
            }
        } catch {
            _ = withPath(temporary) { unlinkat(folder, $0, 0) }
            throw error
        }
    }

    private func enter(_ entry: FileEntry) throws {
        let name = entry.index == 0 ? target.rootName : entry.name
        let path = entry.index == 0 ? [] : path(entry)
        let step = target.step(entry.index)
        folders.append(Folder(entry: entry, name: name, path: path, step: step))
        guard step != .skip else { return }
        let deletions = target.deletions[entry.index] ?? []
        guard step != .keep || !deletions.isEmpty else { return }
        do throws(FileError) {
            let folder = try folder()
            for name in deletions {
                let path = path.appending(path: name)
                do throws(FileError) { try target.removal.remove(folder, name, path) } catch {
                    try target.fail(path, error)
                }
            }
        } catch {
            if path.isEmpty { throw error }
            try target.fail(path, error)
        }
    }

    private func leave() throws {
        let folder = folders.removeLast()
        defer { closeDescriptor(folder.descriptor) }
        guard folder.descriptor >= 0 else { return }
        if folder.step == .keep, !options.contains(.isSync) {
            if let old = folder.old, old.mode & 0o300 != 0o300 { _ = fchmod(folder.descriptor, mode_t(old.mode)) }
        } else {
            do throws(FileError) { try setMetadata(folder.descriptor, folder.entry, folder.old, folder.path) } catch {
                target.report.fail(folder.path, error.reason)
            }
        }
        if folders.isEmpty, options.contains(.isDurable) {
            let number = martlet_sync_system(folder.descriptor)
            guard number == 0 else { throw FileError("write", target.shown([]), number) }
        }
    }

    /// Sets what is said of a file that stays.
    private func setMetadata(
        _ folder: Int32, _ name: [UInt8], _ entry: FileEntry, _ path: [UInt8]
    ) throws(FileError) {
        func open() -> Int32 {
            withPath(name) { openat(folder, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
        }
        var descriptor = open()
        var number = errno
        var old: martlet_file?
        // One that we may not read, and yet is ours, may be read for as long as this takes.
        if descriptor < 0, number == EACCES {
            let file = fileStatus(folder, name, follows: false).file
            if file.kind == UInt32(MARTLET_FILE), file.user == geteuid(),
                withPath(name, { fchmodat(folder, $0, mode_t(file.mode | 0o400), AT_SYMLINK_NOFOLLOW) }) == 0
            {
                descriptor = open()
                number = errno
                old = file
            }
        }
        guard descriptor >= 0 else { throw FileError("write", target.shown(path), number) }
        defer { closeDescriptor(descriptor) }
        do throws(FileError) { try setMetadata(descriptor, entry, old ?? descriptorStatus(descriptor), path) } catch {
            if let old { _ = fchmod(descriptor, mode_t(old.mode)) }
            throw error
        }
    }

    /// - Parameter old: what it was; of a folder, before it was made so that it can be written.
    private func setMetadata(
        _ descriptor: Int32, _ entry: FileEntry, _ old: martlet_file?, _ path: [UInt8]
    ) throws(FileError) {
        if let (user, group) = target.owner(entry), fchown(descriptor, user, group) != 0 {
            throw FileError("write", target.shown(path), errno)
        }
        // Always: a change of the owner takes bits away, and a folder may have been opened up.
        if let mode = target.mode(entry, old), fchmod(descriptor, mode_t(mode)) != 0 {
            throw FileError("write", target.shown(path), errno)
        }
        if options.contains(.preservesTimes) {
            let number = martlet_set_modified(descriptor, nil, entry.seconds, entry.nanoseconds)
            guard number == 0 else { throw FileError("write", target.shown(path), number) }
        }
    }

    // MARK: Places

    private func path(_ entry: FileEntry) -> [UInt8] {
        entry.index == 0 ? [] : (folders.last?.path ?? []).appending(path: entry.name)
    }

    private func place(_ entry: FileEntry) throws(FileError) -> (folder: Int32, name: [UInt8]) {
        entry.index == 0 ? (target.parent, target.rootName) : (try folder(), entry.name)
    }

    /// The folder where the work is, open, and such that we may write in it.
    private func folder() throws(FileError) -> Int32 {
        for level in folders.indices where folders[level].descriptor < 0 {
            if let failure = folders[level].failure { throw failure }
            do throws(FileError) { try open(level) } catch {
                folders[level].failure = error
                throw error
            }
        }
        return folders[folders.count - 1].descriptor
    }

    private func open(_ level: Int) throws(FileError) {
        let above = level == 0 ? target.parent : folders[level - 1].descriptor
        let (name, path, step) = (folders[level].name, folders[level].path, folders[level].step)
        // What is there is no folder.
        if step == .replace, withPath(name, { unlinkat(above, $0, 0) }) != 0, errno != ENOENT {
            throw FileError("write", target.shown(path), errno)
        }
        if step == .create || step == .replace {
            guard withPath(name, { mkdirat(above, $0, 0o700) }) == 0 || errno == EEXIST else {
                throw FileError("write", target.shown(path), errno)
            }
        }
        let descriptor = openFolder(above, name)
        guard descriptor >= 0 else { throw FileError("write", target.shown(path), errno) }
        let status = descriptorStatus(descriptor)
        folders[level].descriptor = descriptor
        // Of a new one too: it may have its set-group-ID bit from the folder above.
        folders[level].old = status
        // A tree of folders that may only be read is copied all the same.
        if status.mode & 0o300 != 0o300, geteuid() != 0 { _ = fchmod(descriptor, mode_t(status.mode | 0o700)) }
    }
}
