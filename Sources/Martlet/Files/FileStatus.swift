import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What stands under a name.
public struct FileStatus: Sendable, Hashable, Codable {
    /// What kind of thing it is.
    public enum Kind: String, Sendable, Codable {
        case file, directory, link
        /// A pipe, a socket, a device.
        case other
    }

    /// What kind of thing it is.
    public var kind: Kind
    /// Permission bits, with setuid, setgid and sticky.
    public var mode: UInt32
    /// The owner's number.
    public var userID: UInt32
    /// The group's number.
    public var groupID: UInt32
    /// Its size.
    public var byteCount: Int
    /// When its content was last changed, since 1970.
    public var modified: Duration

    init(_ file: martlet_file) {
        kind = [.other, .file, .directory, .link, .other][Int(min(file.kind, 4))]
        (mode, userID, groupID, byteCount) = (file.mode, file.user, file.group, Int(file.size))
        modified = .seconds(file.seconds) + .nanoseconds(Int64(file.nanoseconds))
    }
}

/// What a name stands for; `nil` and the error number if nothing.
func fileStatus(_ directory: Int32, _ name: [UInt8], follows: Bool) -> (file: martlet_file, number: Int32) {
    var file = martlet_file()
    let number = withPath(name) { martlet_file_status(directory, $0, follows, &file) }
    return (file, number)
}

func fileStatus(_ path: [UInt8], follows: Bool) -> (file: martlet_file, number: Int32) {
    fileStatus(AT_FDCWD, path, follows: follows)
}

func descriptorStatus(_ descriptor: Int32) -> martlet_file {
    var file = martlet_file()
    _ = martlet_descriptor_status(descriptor, &file)
    return file
}

/// Opens a folder, which is no link.
func openFolder(_ directory: Int32, _ name: [UInt8], follows: Bool = false) -> Int32 {
    withPath(name) { openat(directory, $0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW)) }
}

/// The names in a folder but `.` and `..`, in the order of their bytes.
///
/// - Parameter descriptor: of the folder; it stays open.
/// - Returns: and the error number if it could not be read to its end.
func namesInFolder(_ descriptor: Int32) -> (names: [[UInt8]], number: Int32) {
    let own = openFolder(descriptor, [UInt8(ascii: ".")])
    guard own >= 0, let folder = fdopendir(own) else {
        let number = errno
        closeDescriptor(own)
        return ([], number)
    }
    defer { closedir(folder) }
    var names: [[UInt8]] = []
    while true {
        errno = 0
        guard let entry = readdir(folder) else { break }
        let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
        let name = Array(UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
        if name.isFileName { names.append(name) }
    }
    let number = errno
    names.sort { $0.lexicographicallyPrecedes($1) }
    return (names, number)
}

/// The target of a link.
func readLink(_ directory: Int32, _ name: [UInt8]) -> [UInt8]? {
    var number = 0
    let target = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { room, count in
        number = withPath(name) { path in
            readlinkat(
                directory, path, UnsafeMutableRawPointer(room.baseAddress!).assumingMemoryBound(to: CChar.self),
                room.count)
        }
        count = max(0, number)
    }
    return number < 0 ? nil : target
}

/// The path with all links in it resolved; `nil` if there is no such thing.
func realPath(_ path: [UInt8]) -> [UInt8]? {
    withPath(path) { name in
        guard let real = realpath(name, nil) else { return nil }
        defer { free(real) }
        return Array(UnsafeRawBufferPointer(start: real, count: strlen(real)))
    }
}
