import Martlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Files of this machine that are offered.
enum SourceFile {
    /// Tells whether a file has been changed.
    struct Version: Hashable {
        var size: Int
        var seconds: Int
        var nanoseconds: Int
        var inode: UInt64
    }

    /// The largest that is sent, in bytes: it and what describes it must fit into one answer.
    static let limit = 60 << 20

    enum Failure: Error {
        case absent
        case unusable(String)
    }

    /// Reads a regular file whole.
    static func read(_ path: String) throws(Failure) -> (bytes: [UInt8], version: Version) {
        // What is no file might have us wait for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(path) }
        defer { closeDescriptor(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .absent }
        guard status.st_size <= limit else { throw .unusable("\(path) has more than \(limit >> 20) MiB") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let part = bytes.withUnsafeMutableBytes {
                readBytes(descriptor, $0.baseAddress! + count, $0.count - count)
            }
            if part < 0, errno == EINTR { continue }
            guard part >= 0 else { throw failure(path) }
            if part == 0 { break }
            count += part
        }
        bytes.removeLast(bytes.count - count)
        return (bytes, Version(status))
    }

    private static func failure(_ path: String) -> Failure {
        errno == ENOENT || errno == ENOTDIR ? .absent : .unusable("\(path): \(SystemError.text(errno))")
    }

    static func version(_ path: String) -> Version? {
        var status = stat()
        return stat(path, &status) == 0 ? Version(status) : nil
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// What is in a folder, sorted; hidden files are none of anybody's business.
    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let name, !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    /// Where a path leads when every link is followed.
    static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

extension SourceFile.Version {
    init(_ status: stat) {
        size = Int(status.st_size)
        inode = UInt64(status.st_ino)
        (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    }
}
