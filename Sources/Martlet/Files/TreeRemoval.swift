import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Removes what is in a tree's place: but not what filters exclude.
struct TreeRemoval {
    let filters: [FileFilter]
    /// The tree's, for errors.
    let root: [UInt8]

    private func error(_ path: [UInt8], _ number: Int32) -> FileError {
        FileError("write", root.appending(path: path), number)
    }

    /// Whether all of something may go.
    ///
    /// - Throws: if filters exclude it or something in it, or it cannot be known.
    func check(_ folder: Int32, _ name: [UInt8], _ path: [UInt8]) throws(FileError) {
        guard !filters.isEmpty else { return }
        let isFolder = fileStatus(folder, name, follows: false).file.kind == UInt32(MARTLET_DIRECTORY)
        guard FileFilter.includes(path, isFolder: isFolder, filters) else {
            throw FileError("write", root.appending(path: path), 0, "\(path.shown) is in the way, and excluded")
        }
        guard isFolder else { return }
        let inner = openFolder(folder, name)
        guard inner >= 0 else { throw error(path, errno) }
        defer { closeDescriptor(inner) }
        let (names, number) = namesInFolder(inner)
        guard number == 0 else { throw error(path, number) }
        for name in names { try check(inner, name, path.appending(path: name)) }
    }

    /// Removes a folder, as no file takes the name of one. Anything else goes when its name is taken.
    func makeRoom(_ folder: Int32, _ name: [UInt8], _ path: [UInt8]) throws(FileError) {
        let (file, number) = fileStatus(folder, name, follows: false)
        guard number == 0, file.kind == UInt32(MARTLET_DIRECTORY) else { return }
        try check(folder, name, path)
        guard try remove(folder, name, path) else { throw error(path, ENOTEMPTY) }
    }

    /// Removes a file, or a folder with all that is in it and is not excluded.
    ///
    /// - Returns: `false` for a folder that stays for what is excluded.
    @discardableResult
    func remove(_ folder: Int32, _ name: [UInt8], _ path: [UInt8]) throws(FileError) -> Bool {
        if withPath(name, { unlinkat(folder, $0, 0) }) == 0 || errno == ENOENT { return true }
        let number = errno
        let mode = fileStatus(folder, name, follows: false).file.mode
        var inner = openFolder(folder, name)
        // What may not be read is ours to open up, or it is not ours to remove.
        if inner < 0 {
            let reason = errno
            if reason == ENOENT { return true }
            guard reason == EACCES,
                withPath(name, { fchmodat(folder, $0, mode_t(mode | 0o700), AT_SYMLINK_NOFOLLOW) }) == 0
            else { throw error(path, reason == ENOTDIR ? number : reason) }
            inner = openFolder(folder, name)
            guard inner >= 0 else { throw error(path, reason) }
        } else if mode & 0o300 != 0o300, geteuid() != 0 {
            _ = fchmod(inner, mode_t(mode | 0o700))
        }
        var isGone = false
        defer {
            if !isGone, mode & 0o700 != 0o700 { _ = fchmod(inner, mode_t(mode)) }
            closeDescriptor(inner)
        }
        let (names, failure) = namesInFolder(inner)
        guard failure == 0 else { throw error(path, failure) }
        var isEmpty = true
        for name in names {
            let path = path.appending(path: name)
            let isFolder = fileStatus(inner, name, follows: false).file.kind == UInt32(MARTLET_DIRECTORY)
            let isMeant = FileFilter.includes(path, isFolder: isFolder, filters)
            if try isMeant ? !remove(inner, name, path) : true { isEmpty = false }
        }
        guard isEmpty else { return false }
        guard withPath(name, { unlinkat(folder, $0, AT_REMOVEDIR) }) == 0 || errno == ENOENT else {
            throw error(path, errno)
        }
        isGone = true
        return true
    }
}
