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
            try advance(to: nil)
            isDone = true
        default: throw PackedReader.damaged
        }
    }

    private func check(_ number: Int32, _ path: [UInt8]) throws {
        guard number != 0 else { return }
        current = .skipped
        try target.fail(path, FileError("write", target.shown(path), number))
    }

    private func begin(_ index: Int, _ start: Int) throws {
        guard target.wanted[index] else {
            current = .skipped
            return
        }
        // One that was not ended goes before its folder is left.
        current = .none
        let entry = try advance(to: index)
        let path = path(entry)
        current = .skipped
        do throws(FileError) {
            let (folder, name) = try place(entry)
            if target.step(index) == .replace { try remove(folder, name, path) }
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
            let isNew = target.step(entry.index) == .create
            let (old, number) = isNew ? (martlet_file(), ENOENT) : fileStatus(folder, name, follows: false)
            let isThere = number == 0 && old.kind == UInt32(MARTLET_FILE)
            try file.commit(
                mode: target.mode(entry, isThere ? old : nil), owner: target.owner(entry), keeping: isThere ? old : nil,
                modified: options.contains(.preservesTimes) ? (entry.seconds, entry.nanoseconds) : nil,
                isDurable: target.isSingle && options.contains(.isDurable), replaces: options.comparison != .never)
            progress.files += 1
            target.report.checksum = checksum.value
            target.report.fileCount += 1
            target.report.byteCount &+= checksum.count
        } catch  where error.number == EEXIST && options.comparison == .never {
            // It has come meanwhile.
            if target.isSingle { throw target.alreadyThere }
        } catch { try target.fail(path, error) }
    }

    private func failed(_ index: Int, _ reason: String) throws {
        current = .none
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
                let descriptor = withPath(name) { openat(folder, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
                guard descriptor >= 0 else { throw FileError("write", target.shown(path), errno) }
                defer { closeDescriptor(descriptor) }
                try setMetadata(descriptor, entry, descriptorStatus(descriptor), path)
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
        if step == .replace { try remove(folder, name, path) }
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
        guard withPath(temporary, { from in withPath(name) { renameat(folder, from, folder, $0) } }) == 0 else {
            let number = errno
            _ = withPath(temporary) { unlinkat(folder, $0, 0) }
            throw FileError("write", target.shown(path), number)
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
                do throws(FileError) { try remove(folder, name, path) } catch { try target.fail(path, error) }
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
        if step == .replace { try remove(above, name, path) }
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

    /// Removes a file, or a folder with all that is in it and is meant by the filters.
    private func remove(_ folder: Int32, _ name: [UInt8], _ path: [UInt8]) throws(FileError) {
        if withPath(name, { unlinkat(folder, $0, 0) }) == 0 || errno == ENOENT { return }
        let number = errno
        let inner = openFolder(folder, name)
        guard inner >= 0 else { throw FileError("write", target.shown(path), number) }
        defer { closeDescriptor(inner) }
        let mode = descriptorStatus(inner).mode
        if mode & 0o300 != 0o300, geteuid() != 0 { _ = fchmod(inner, mode_t(mode | 0o700)) }
        var isEmpty = true
        for name in namesInFolder(inner).names {
            let path = path.appending(path: name)
            let isFolder = fileStatus(inner, name, follows: false).file.kind == UInt32(MARTLET_DIRECTORY)
            if FileFilter.includes(path, isFolder: isFolder, options.filters) {
                try remove(inner, name, path)
            } else {
                isEmpty = false
            }
        }
        guard isEmpty else { return }
        guard withPath(name, { unlinkat(folder, $0, AT_REMOVEDIR) }) == 0 || errno == ENOENT || errno == ENOTEMPTY
        else {
            throw FileError("write", target.shown(path), errno)
        }
    }
}
