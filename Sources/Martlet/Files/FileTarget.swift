import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A file that is written beside its name, and takes it when it is whole. Until then, and if it never is, what has that name
/// stays as it is.
package final class FileTarget {
    private let directory: Int32
    private let ownsDirectory: Bool
    private let name: [UInt8]
    private let path: [UInt8]
    private var descriptor: Int32 = -1
    /// `nil`: the file has no name at all until it is whole, so that nothing of it stays, whatever happens.
    private var temporary: [UInt8]?
    /// What was written stays for the next try.
    private let isPartial: Bool
    /// How much of it there is.
    private(set) var count = 0
    private var endsInHole = false

    /// Larger ones get no name before they are whole: it costs a little more, and they take longer.
    private static let namelessFrom = 64 * 1024

    /// SplitMix64, seeded once: to ask the system for each small file costs as much as to write it.
    private static let random = Mutex(UInt64.random(in: 0 ... .max))

    /// A name beside another that nobody has, or else the system says so.
    static func temporaryName(for name: [UInt8]) -> [UInt8] {
        var number = random.withLock { state -> UInt64 in
            state &+= 0x9e37_79b9_7f4a_7c15
            return state
        }
        number = (number ^ number >> 30) &* 0xbf58_476d_1ce4_e5b9
        number = (number ^ number >> 27) &* 0x94d0_49bb_1331_11eb
        return [UInt8(ascii: ".")] + name.prefix(200)
            + Array(".martlet-\(String(number ^ number >> 31, radix: 16))".utf8)
    }

    /// What there is of a file that is to be continued has this name beside it.
    static func partialName(for name: [UInt8], _ part: [UInt8]) -> [UInt8] {
        [UInt8(ascii: ".")] + name.prefix(partialNameLimit) + partialMark + part
    }

    /// Of longer names, in bytes, not all is in the name of what there is of a file.
    static let partialNameLimit = 200
    private static let partialMark = Array(".martlet-partial-".utf8)

    /// Whether a name may be such a one: it ends in 16 digits of what it is a part of.
    static func isPartialName(_ name: [UInt8]) -> Bool {
        name.first == UInt8(ascii: ".") && name.dropLast(16).suffix(partialMark.count).elementsEqual(partialMark)
    }

    /// Whether what there is of a file is ours, and nobody else is at it: until it is closed nobody is.
    static func mayTakePartial(_ descriptor: Int32) -> Bool {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
        // It may have lost its name until it was locked.
        let status = descriptorStatus(descriptor)
        return status.kind == UInt32(MARTLET_FILE) && status.links == 1 && status.user == geteuid()
    }

    /// - Parameters:
    ///   - directory: stays open as long as this.
    ///   - path: for errors.
    ///   - mode: what the umask leaves of it is who may open the file before it is whole.
    ///   - partial: if given, the file keeps this name when it does not become whole, and is continued if it is there: then
    ///     ``count`` is not 0.
    init(
        in directory: Int32, _ name: [UInt8], _ path: [UInt8], expecting size: Int, mode: UInt32 = 0o600,
        partial: [UInt8]? = nil, ownsDirectory: Bool = false
    ) throws(FileError) {
        (self.directory, self.name, self.path, self.ownsDirectory) = (directory, name, path, ownsDirectory)
        if let partial {
            let file = Self.partialName(for: name, partial)
            let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
            descriptor = withPath(file) { openat(directory, $0, flags, mode_t(mode)) }
            if descriptor >= 0 {
                if Self.mayTakePartial(descriptor) {
                    (temporary, isPartial, count) = (file, true, Int(descriptorStatus(descriptor).size))
                    return
                }
                closeDescriptor(descriptor)
                descriptor = -1
            }
        }
        isPartial = false
        if size >= Self.namelessFrom { descriptor = martlet_nameless_file(directory, mode) }
        if descriptor < 0 {
            let file = Self.temporaryName(for: name)
            descriptor = withPath(file) { openat(directory, $0, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(mode)) }
            guard descriptor >= 0 else {
                let number = errno
                throw FileError("write", path, number)
            }
            temporary = file
        }
    }

    /// For a file by its path. A link stays a link, but for one that a stranger has left.
    package convenience init(_ path: [UInt8]) throws(FileError) {
        let (folder, name) = path.splitPath
        var place = FilePlace(folder, name)
        guard place.folder >= 0 else { throw FileError("write", path, errno) }
        do throws(FileError) {
            try place.followLinks(path)
            let (file, number) = fileStatus(place.folder, place.name, follows: false)
            guard number != 0 || file.kind != UInt32(MARTLET_DIRECTORY) else { throw FileError("write", path, EISDIR) }
        } catch {
            closeDescriptor(place.folder)
            throw error
        }
        try self.init(in: place.folder, place.name, path, expecting: 0, ownsDirectory: true)
    }

    deinit {
        closeDescriptor(descriptor)
        if let temporary, !isPartial { _ = withPath(temporary) { unlinkat(directory, $0, 0) } }
        if ownsDirectory { closeDescriptor(directory) }
    }

    package func write(_ bytes: [UInt8]) throws(FileError) {
        let number = bytes.withUnsafeBytes { write($0) }
        guard number == 0 else { throw FileError("write", path, number) }
    }

    /// - Returns: 0 or the error number.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        var offset = 0
        while offset < bytes.count {
            let count = writeBytes(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return count == 0 ? EIO : errno }
            offset += count
        }
        count += bytes.count
        if !bytes.isEmpty { endsInHole = false }
        return 0
    }

    /// Goes on behind a hole.
    ///
    /// - Returns: 0 or the error number.
    func skip(_ hole: Int) -> Int32 {
        guard count <= Int.max - hole, lseek(descriptor, off_t(hole), SEEK_CUR) >= 0 else { return EFBIG }
        count += hole
        endsInHole = true
        return 0
    }

    /// The checksum of the first `size` bytes of what is there; writing goes on behind them.
    func resume(at size: Int) -> FileChecksum? {
        var checksum = FileChecksum()
        guard lseek(descriptor, 0, SEEK_SET) == 0, checksum.add(contentOf: descriptor, limit: size) == 0,
            checksum.count == size, ftruncate(descriptor, off_t(size)) == 0
        else { return nil }
        count = size
        return checksum
    }

    /// Nothing of it stays, whatever was asked.
    func discard() {
        if let temporary { _ = withPath(temporary) { unlinkat(directory, $0, 0) } }
    }

    /// Gives the file its name.
    ///
    /// - Parameters:
    ///   - mode: `nil`: it stays as it was made.
    ///   - owner: user and group; -1 for one that stays.
    ///   - old: the file that is replaced: whose it was stays, where nobody said so and that is ours to say.
    ///   - isDurable: content and name are on the disk when this returns.
    ///   - replaces: takes the name from what has it; else that is an error, `EEXIST`.
    func commit(
        mode: UInt32?, owner: (UInt32, UInt32)? = nil, keeping old: martlet_file? = nil,
        modified: (Int64, UInt32)? = nil, isDurable: Bool, replaces: Bool = true
    ) throws(FileError) {
        if endsInHole, ftruncate(descriptor, off_t(count)) != 0 { throw FileError("write", path, errno) }
        var mode = mode
        if let old, owner.map({ $0.0 == .max || $0.1 == .max }) ?? true {
            let hasGroup = takeOwner(of: old)
            // Another group may not do what only the one that it had might do.
            if !hasGroup, owner?.1 ?? .max == .max { mode = mode.map { $0 & (~0o070 | (old.mode & 0o007) << 3) } }
        }
        if let owner, fchown(descriptor, owner.0, owner.1) != 0 { throw FileError("write", path, errno) }
        if let mode, fchmod(descriptor, mode_t(mode)) != 0 { throw FileError("write", path, errno) }
        if let modified {
            let number = martlet_set_modified(descriptor, nil, modified.0, modified.1)
            guard number == 0 else { throw FileError("write", path, number) }
        }
        if isDurable, fsync(descriptor) != 0 { throw FileError("write", path, errno) }
        let number = takeName(replaces)
        guard number == 0 else { throw FileError("write", path, number) }
        // Some file systems cannot.
        if isDurable { _ = fsync(directory) }
    }

    /// - Returns: whether its group is the old one's.
    private func takeOwner(of old: martlet_file) -> Bool {
        // The group of a new file may be the folder's.
        let new = descriptorStatus(descriptor)
        if (new.user, new.group) == (old.user, old.group) { return true }
        if fchown(descriptor, old.user, old.group) == 0 { return true }
        return new.group == old.group || fchown(descriptor, .max, old.group) == 0
    }

    package func commit(mode: UInt32) throws(FileError) { try commit(mode: mode, isDurable: true) }

    private func takeName(_ replaces: Bool) -> Int32 {
        if temporary == nil {
            let number = withPath(name) { martlet_name_file(descriptor, directory, $0) }
            // What has that name is replaced, which only a file with a name can do.
            if number != EEXIST || !replaces { return number }
            let file = Self.temporaryName(for: name)
            let second = withPath(file) { martlet_name_file(descriptor, directory, $0) }
            guard second == 0 else { return second }
            temporary = file
        }
        guard let temporary else { return ENOENT }
        let result = withPath(temporary) { from in
            withPath(name) {
                replaces ? renameat(directory, from, directory, $0) : linkat(directory, from, directory, $0, 0)
            }
        }
        guard result == 0 else {
            let number = errno
            discard()
            return number
        }
        if !replaces { discard() }
        self.temporary = nil
        return 0
    }
}
