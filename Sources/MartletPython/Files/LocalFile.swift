import CMartlet
import Martlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// SHA-256 of what passes, and how much it was.
struct Checksum {
    private var state = martlet_digest()

    init() { martlet_digest_begin(&state) }

    var count: UInt64 { state.count }

    mutating func add(_ bytes: [UInt8]) { martlet_digest_add(&state, bytes, bytes.count) }

    /// What stands behind a file's content on the wire: its size, 8 bytes, and the digest.
    func trailer() -> [UInt8] {
        var (last, digest) = (state, [UInt8](repeating: 0, count: 32))
        martlet_digest_end(&last, &digest)
        return (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) } + digest
    }
}

/// Calls `body` with a path as C has it.
private func withPath<R>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
    (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
}

/// The error number of the last system call, in the words of a person.
private func failure(_ what: String, _ path: [UInt8], _ number: Int32 = errno) -> MartletError {
    let name = String(decoding: path, as: UTF8.self)
    return MartletError(.fileFailed, "\(what) \(name) here: \(SystemError.text(number))")
}

/// A file of this machine that is read.
struct LocalSource: ~Copyable {
    private let descriptor: Int32
    private let path: [UInt8]
    /// Its permission bits.
    let mode: UInt32

    init(_ path: [UInt8]) throws(MartletError) {
        // Not to wait for a writer, should it be a pipe.
        let descriptor = withPath(path) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard descriptor >= 0 else { throw failure("read", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            closeDescriptor(descriptor)
            throw failure("read", path, status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        (self.descriptor, self.path, mode) = (descriptor, path, UInt32(status.st_mode & 0o777))
    }

    deinit { closeDescriptor(descriptor) }

    /// - Returns: at most 256 KiB; nothing at the end.
    borrowing func next() throws(MartletError) -> [UInt8] {
        var number: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 256 * 1024) { room, count in
            var result = read(descriptor, room.baseAddress!, room.count)
            while result < 0 && errno == EINTR { result = read(descriptor, room.baseAddress!, room.count) }
            if result < 0 { number = errno }
            count = max(0, result)
        }
        guard number == 0 else { throw failure("read", path, number) }
        return bytes
    }
}

/// A file of this machine that is written beside its name, and takes it when it is whole.
struct LocalTarget: ~Copyable {
    private let descriptor: Int32
    private let path: [UInt8]
    private let folder: [UInt8]
    private let temporary: [UInt8]

    init(_ path: [UInt8]) throws(MartletError) {
        // A link stays a link.
        let real = withPath(path) { name -> [UInt8]? in
            guard let real = realpath(name, nil) else { return nil }
            defer { free(real) }
            return Array(UnsafeRawBufferPointer(start: real, count: strlen(real)))
        }
        let path = real ?? path
        var status = stat()
        if withPath(path, { stat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFDIR {
            throw failure("write", path, EISDIR)
        }
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { Array(path[...$0]) } ?? Array("./".utf8)
        let name = path[(slash.map { $0 + 1 } ?? 0)...].prefix(200)
        let number = UInt64.random(in: 0 ... .max)
        let temporary = folder + Array(".".utf8) + name + Array(".martlet-\(String(number, radix: 16))".utf8)
        let descriptor = withPath(temporary) { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
        guard descriptor >= 0 else { throw failure("write", path) }
        (self.descriptor, self.path, self.folder, self.temporary) = (descriptor, path, folder, temporary)
    }

    deinit {
        closeDescriptor(descriptor)
        // Once it has its name, nothing has this one.
        _ = withPath(temporary) { unlink($0) }
    }

    borrowing func write(_ bytes: [UInt8]) throws(MartletError) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { writeBytes(descriptor, $0.baseAddress! + offset, bytes.count - offset) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("write", path) }
            offset += count
        }
    }

    /// Gives the file its name.
    borrowing func commit(mode: UInt32) throws(MartletError) {
        guard fchmod(descriptor, mode_t(mode)) == 0, fsync(descriptor) == 0,
            withPath(temporary, { from in withPath(path) { rename(from, $0) } }) == 0
        else { throw failure("write", path) }
        let parent = withPath(folder) { open($0, O_RDONLY | O_CLOEXEC) }
        guard parent >= 0 else { return }
        // Some file systems cannot.
        _ = fsync(parent)
        closeDescriptor(parent)
    }
}
