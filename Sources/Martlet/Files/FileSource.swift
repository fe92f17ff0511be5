import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Reads what there is, `count` bytes at most.
///
/// - Returns: 0 at the end, or an error number below 0.
func readSome(_ descriptor: Int32, _ room: UnsafeMutableRawPointer, _ count: Int) -> Int {
    while true {
        let result = readBytes(descriptor, room, count)
        if result >= 0 { return result }
        if errno != EINTR { return -Int(errno) }
    }
}

/// A regular file that is read.
package final class FileSource {
    let descriptor: Int32
    private let path: [UInt8]
    let status: martlet_file
    /// Its permission bits.
    package var mode: UInt32 { status.mode & 0o777 }

    package convenience init(_ path: [UInt8]) throws(FileError) { try self.init(AT_FDCWD, path, follows: true, path) }

    init(_ directory: Int32, _ name: [UInt8], follows: Bool, _ path: [UInt8]) throws(FileError) {
        // Not to wait for a writer, should it be a pipe.
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (follows ? 0 : O_NOFOLLOW)
        let descriptor = withPath(name) { openat(directory, $0, flags) }
        guard descriptor >= 0 else { throw FileError("read", path, errno) }
        status = descriptorStatus(descriptor)
        guard status.kind == UInt32(MARTLET_FILE) else {
            closeDescriptor(descriptor)
            if status.kind == UInt32(MARTLET_DIRECTORY) { throw FileError("read", path, EISDIR) }
            throw FileError("read", path, 0, "it is no regular file")
        }
        (self.descriptor, self.path) = (descriptor, path)
    }

    deinit { closeDescriptor(descriptor) }

    /// - Returns: at most 256 KiB; nothing at the end.
    package func next() throws(FileError) -> [UInt8] {
        var number = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 256 * 1024) { room, count in
            number = readSome(descriptor, room.baseAddress!, room.count)
            count = max(0, number)
        }
        guard number >= 0 else { throw FileError("read", path, Int32(-number)) }
        return bytes
    }
}
