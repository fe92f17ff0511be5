import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Looks at a file, or at all that is in a folder, once, and notes it in a manifest. It blocks.
struct TreeScan {
    let manifest = Manifest()
    private(set) var failures: [FileFailure] = []
    private let filters: [FileFilter]
    private let followsLinks: Bool
    private let hasChecksums: Bool
    /// Links by absolute paths to what is in the tree lead to its copy.
    private let rebasesLinks: Bool
    private var root: [UInt8] = []
    private let isIncluded: (@Sendable ([UInt8], FileStatus) -> Bool)?

    init(
        filters: [FileFilter], followsLinks: Bool, hasChecksums: Bool, rebasesLinks: Bool = false,
        isIncluded: (@Sendable ([UInt8], FileStatus) -> Bool)? = nil
    ) {
        (self.filters, self.followsLinks, self.hasChecksums) = (filters, followsLinks, hasChecksums)
        (self.rebasesLinks, self.isIncluded) = (rebasesLinks, isIncluded)
    }

    /// - Parameter path: its last link is followed.
    mutating func run(_ path: [UInt8]) throws {
        let (file, number) = fileStatus(path, follows: true)
        guard number == 0 else { throw FileError("read", path, number) }
        let name = path.splitPath.name
        switch Int(file.kind) {
        case MARTLET_FILE:
            var entry = Self.entry(.file, name, file)
            if hasChecksums {
                let source = try FileSource(path)
                entry.checksum = try Self.checksum(source, path)
            }
            try manifest.add(entry)
        case MARTLET_DIRECTORY:
            let folder = openFolder(AT_FDCWD, path, follows: true)
            guard folder >= 0 else { throw FileError("read", path, errno) }
            defer { closeDescriptor(folder) }
            root = rebasesLinks ? (realPath(path) ?? path).withoutSlashes + [[UInt8].slash] : []
            try manifest.add(Self.entry(.folder, name, file))
            try scan(folder, [], [(file.device, file.number)])
        default: throw FileError("read", path, 0, "it is neither a regular file nor a folder")
        }
    }

    private static func entry(_ kind: FileEntry.Kind, _ name: [UInt8], _ file: martlet_file) -> FileEntry {
        FileEntry(
            kind: kind, name: name, mode: file.mode, user: file.user, group: file.group, seconds: file.seconds,
            nanoseconds: file.nanoseconds, size: kind == .file ? max(0, Int(file.size)) : 0)
    }

    private static func checksum(_ source: FileSource, _ path: [UInt8]) throws(FileError) -> UInt64 {
        var checksum = FileChecksum()
        let number = checksum.add(contentOf: source.descriptor)
        guard number == 0 else { throw FileError("read", path, number) }
        return checksum.value
    }

    private mutating func fail(_ path: [UInt8], _ reason: String) {
        if failures.count < FileFailure.limit { failures.append(FileFailure(path: path, reason: reason)) }
    }

    /// - Parameter above: the folders that this one is in, and itself.
    private mutating func scan(_ folder: Int32, _ path: [UInt8], _ above: [(UInt64, UInt64)]) throws {
        try Task.checkCancellation()
        let (names, number) = namesInFolder(folder)
        var isIncomplete = number != 0
        if number != 0 { fail(path, SystemError.text(number)) }
        for name in names {
            let path = path.appending(path: name)
            var (file, number) = fileStatus(folder, name, follows: followsLinks)
            // A link to nothing stays one.
            if number != 0, followsLinks { (file, number) = fileStatus(folder, name, follows: false) }
            guard number == 0 else {
                fail(path, number == ENOENT ? "it has vanished" : SystemError.text(number))
                if number != ENOENT { isIncomplete = true }
                continue
            }
            let isFolder = file.kind == UInt32(MARTLET_DIRECTORY)
            guard FileFilter.includes(path, isFolder: isFolder, filters), isIncluded?(path, FileStatus(file)) ?? true
            else { continue }
            do throws(FileError) { if try add(folder, name, path, file) { continue } } catch {
                if error.number == ECANCELED { throw CancellationError() }
                fail(path, error.number == ENOENT ? "it has vanished" : error.reason)
                if error.number != ENOENT { isIncomplete = true }
                continue
            }
            // A folder.
            guard !above.contains(where: { $0 == (file.device, file.number) }) else {
                fail(path, "the link leads to a folder that it is in")
                isIncomplete = true
                continue
            }
            guard above.count < Manifest.depthLimit - 1 else {
                throw MartletError(
                    .limitExceeded, "\(path.shown): more than \(Manifest.depthLimit) folders deep")
            }
            let inner = openFolder(folder, name, follows: followsLinks)
            guard inner >= 0 else {
                fail(path, SystemError.text(errno))
                isIncomplete = true
                continue
            }
            defer { closeDescriptor(inner) }
            try manifest.add(Self.entry(.folder, name, file))
            try scan(inner, path, above + [(file.device, file.number)])
        }
        try manifest.add(FileEntry(kind: .leave, isIncomplete: isIncomplete))
    }

    /// - Returns: `false` if it is a folder, which was not added.
    private func add(
        _ folder: Int32, _ name: [UInt8], _ path: [UInt8], _ file: martlet_file
    ) throws(FileError) -> Bool {
        var entry: FileEntry
        switch Int(file.kind) {
        case MARTLET_DIRECTORY: return false
        case MARTLET_FILE:
            entry = Self.entry(.file, name, file)
            if hasChecksums {
                entry.checksum = try Self.checksum(try FileSource(folder, name, follows: followsLinks, path), path)
            }
        case MARTLET_LINK:
            guard let target = readLink(folder, name) else { throw FileError("read", path, errno) }
            entry = Self.entry(.link, name, file)
            entry.target = target
            if rebasesLinks, target.starts(with: root), target.count > root.count {
                entry.target = Array(target.dropFirst(root.count))
                entry.isInside = true
            }
        default: throw FileError("read", path, 0, "it is neither a regular file, a folder nor a link")
        }
        do { try manifest.add(entry) } catch { throw FileError("read", path, 0, error.message) }
        return true
    }
}
