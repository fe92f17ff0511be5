import CMartlet
import Martlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What tools run as `ssh`: this process's own executable, under that name in a directory that is only this user's. Where no
/// directory can be made, it is run by its path in `/proc`, and listens at a name that is in no file system.
struct LentProgram: Sendable {
    /// Where the server listens.
    var place: String
    /// What tools run.
    var program: String
    /// The directory for `PATH`.
    var folder: String?

    private static let names = ["ssh", "scp", "sftp"]
    private static let prefix = "martlet-ssh-"

    /// Where a directory may be, the best first.
    static var usualParents: [String] {
        let environment = ProcessEnvironment.current
        let given = ["XDG_RUNTIME_DIR", "TMPDIR"].compactMap { environment[$0] }
        return (given + ["/tmp", "/dev/shm", "/var/tmp"]).filter { $0.hasPrefix("/") && $0.utf8.allSatisfy(isPlain) }
    }

    /// Whether a byte of a path means only itself in `PATH`, in `RSYNC_RSH` and to the shell by which git runs its ssh.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...0xff:
            true
        default: "/._-+@,=%".utf8.contains(byte)
        }
    }

    /// - Returns: where it is, and the socket that listens.
    /// - Throws: ``MartletError`` with the reason for each place.
    static func make(in parents: [String]) throws(MartletError) -> (LentProgram, listener: Int32) {
        let executable = try executable()
        var failures: [String] = []
        for parent in parents {
            sweep(parent)
            var template = Array("\(parent)/\(prefix)XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else {
                failures.append("\(parent): \(SystemError.text(errno))")
                continue
            }
            let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let place = "\(folder)/socket"
            let listener = martlet_shim_listen(place, 128)
            if listener >= 0, names.allSatisfy({ symlink(executable, "\(folder)/\($0)") == 0 }) {
                return (LentProgram(place: place, program: "\(folder)/ssh", folder: folder), listener)
            }
            failures.append("\(folder): \(SystemError.text(listener < 0 ? -listener : errno))")
            if listener >= 0 { closeDescriptor(listener) }
            remove(folder)
        }
        let place = "@\(prefix)\(try token())"
        let listener = martlet_shim_listen(place, 128)
        guard listener >= 0 else {
            failures.append("\(place): \(SystemError.text(-listener))")
            throw MartletError(
                .fileFailed, "there is no place for the socket that tools' ssh speaks to",
                detail: failures.joined(separator: "\n"), advice: "set TMPDIR to a directory that can be written")
        }
        return (LentProgram(place: place, program: "/proc/\(getpid())/exe", folder: nil), listener)
    }

    /// By its name if that still leads to it, so that other users may follow it; else by what the kernel keeps.
    private static func executable() throws(MartletError) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else {
            throw MartletError(
                .misuse, "this program's own executable cannot be found, which is what tools run as ssh",
                advice: "mount /proc")
        }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var (own, named) = (stat(), stat())
        guard stat("/proc/self/exe", &own) == 0, stat(path, &named) == 0, own.st_ino == named.st_ino,
            own.st_dev == named.st_dev
        else { return "/proc/\(getpid())/exe" }
        return path
    }

    static func token() throws(MartletError) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard martlet_random(&bytes, bytes.count) else {
            throw MartletError(.misuse, "the system has no random numbers")
        }
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    func remove() {
        if let folder { Self.remove(folder) }
    }

    private static func remove(_ folder: String) {
        for name in names + ["socket"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    /// What is younger may be of a program that does not listen yet, in seconds.
    private static let sweepAge = 60

    /// Removes what programs of this user have left that were killed: nobody listens there any more.
    private static func sweep(_ parent: String) {
        guard let directory = opendir(parent) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            // In its place: an entry ends with its name, and a copy of all that a name may be would read beyond it.
            let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
            let name = String(cString: start.assumingMemoryBound(to: CChar.self))
            guard name.hasPrefix(prefix) else { continue }
            let folder = "\(parent)/\(name)"
            var status = stat()
            guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
                time(nil) - status.st_mtim.tv_sec > sweepAge
            else { continue }
            let connection = martlet_socket_connect("\(folder)/socket")
            if [-ECONNREFUSED, -ENOENT].contains(connection) { remove(folder) }
            if connection >= 0 { closeDescriptor(connection) }
        }
    }

    /// What a tool's environment needs.
    func environment(_ token: String, path: String?) -> [String: String?] {
        var result: [String: String?] = [
            MARTLET_SSH_SOCKET_VARIABLE: place, MARTLET_SSH_TOKEN_VARIABLE: token,
            MARTLET_SSH_PROGRAM_VARIABLE: program,
            "RSYNC_RSH": program, "GIT_SSH_COMMAND": program, "GIT_SSH": program, "GIT_SSH_VARIANT": "ssh",
            "CVS_RSH": program, "SVN_SSH": program,
        ]
        if let folder {
            let path = path ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            result["PATH"] = "\(folder):\(path)"
        }
        return result
    }
}
