import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A file that is read by position: if it is cut short meanwhile, that is an error, where memory that it is mapped to
/// would end this process.
final class OpenFile: Sendable {
    /// Tells one content from the next.
    struct Version: Sendable, Hashable {
        var device: UInt64
        var inode: UInt64
        var byteCount: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(SystemError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(errno, "open \(path)") }
    }

    deinit { if descriptor >= 0 { closeDescriptor(descriptor) } }

    /// The one that it has now.
    func version() throws(SystemError) -> Version {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw SystemError(errno, "look at \(path)") }
        return Version(
            device: UInt64(information.st_dev), inode: UInt64(information.st_ino), byteCount: Int(information.st_size),
            seconds: Int(information.st_mtim.tv_sec), nanoseconds: Int(information.st_mtim.tv_nsec))
    }

    /// - Throws: ``SystemError``; `EIO` if the file ends before.
    func bytes(_ range: Range<Int>) throws(SystemError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < range.count {
                let more = pread(
                    descriptor, buffer.baseAddress! + count, range.count - count, off_t(range.lowerBound + count))
                if more < 0, errno == EINTR { continue }
                guard more > 0 else {
                    failure = more < 0 ? errno : EIO
                    return
                }
                count += more
            }
        }
        guard failure == 0 else { throw SystemError(failure, "read \(path)") }
        return bytes
    }
}
