import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Whether something in a folder was left there by a stranger: others may write in it, as in `/tmp`, and it is neither ours nor
/// the folder's owner's. Such a link is not followed, and whose such a file is does not stay: so the kernel has it with
/// `protected_symlinks`, which does not hold where links are read rather than opened.
func isStrangers(_ file: martlet_file, in folder: Int32) -> Bool {
    guard file.user != geteuid() else { return false }
    let status = descriptorStatus(folder)
    // All may write, or, in a sticky one, a group whose members do not trust each other.
    return (status.mode & 0o002 != 0 || status.mode & 0o1020 == 0o1020) && file.user != status.user
}

/// A name in a folder that is open.
struct FilePlace {
    /// -1: it could not be opened (errno). Whoever has this closes it.
    private(set) var folder: Int32
    /// Of the folder.
    private(set) var path: [UInt8]
    private(set) var name: [UInt8]

    init(_ path: [UInt8], _ name: [UInt8]) {
        (self.path, self.name) = (path, name)
        folder = openFolder(AT_FDCWD, path, follows: true)
    }

    /// If it is a link: goes to what that stands for, so that the link stays. One to nothing, and a stranger's, stays the place.
    ///
    /// - Parameter shown: for errors.
    mutating func followLinks(_ shown: [UInt8]) throws(FileError) {
        for _ in 0..<40 {
            let (file, number) = fileStatus(folder, name, follows: false)
            guard number == 0, file.kind == UInt32(MARTLET_LINK), !isStrangers(file, in: folder),
                fileStatus(folder, name, follows: true).number == 0, let target = readLink(folder, name)
            else { return }
            let (inner, last) = target.splitPath
            guard last.isFileName else { throw FileError("write", shown, EISDIR) }
            let opened = openFolder(folder, inner, follows: true)
            guard opened >= 0 else { throw FileError("write", shown, errno) }
            closeDescriptor(folder)
            (folder, name) = (opened, last)
            path = inner.first == [UInt8].slash ? inner : path.appending(path: inner)
        }
        throw FileError("write", shown, ELOOP)
    }
}
