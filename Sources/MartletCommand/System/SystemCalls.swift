import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The few things that the command line asks the system for directly.
enum SystemCalls {
    /// A variable of our environment; nil if it is not there or empty.
    static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// The columns of a terminal; nil if it does not say.
    static func columns(_ descriptor: Int32) -> Int? { terminalSize(descriptor)?.columns }

    /// The size of a terminal; nil if it does not say.
    static func terminalSize(_ descriptor: Int32) -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// How many descriptors this process may have.
    static var descriptorLimit: Int {
        var limit = rlimit()
        #if canImport(Glibc)
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        #else
        guard getrlimit(RLIMIT_NOFILE, &limit) == 0 else { return 1024 }
        #endif
        return Int(clamping: limit.rlim_cur)
    }

    static var processID: Int32 { getpid() }

    /// Has a process end, be it stopped.
    ///
    /// - Returns: 0, or the value of `errno`.
    static func terminate(_ process: Int32) -> Int32 {
        kill(process, SIGTERM) == 0 && kill(process, SIGCONT) == 0 ? 0 : errno
    }

    /// Since when a process runs, in ticks from the boot on: with its number it is that process for good. Nil if it is gone, or
    /// has ended and waits for its parent to look.
    static func processStart(_ process: Int32) -> Int64? {
        guard let bytes = try? readFile("/proc/\(process)/stat", limit: 4096) else { return nil }
        // The name in brackets may have blanks and brackets in it.
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, !["Z", "X"].contains(fields[0]) else { return nil }
        return Int64(fields[19])
    }

    /// Seconds since 1970.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// - Returns: 0 or more, or -1 with `errno`.
    static func openFile(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { open(path, flags, mode) }
    static var isRoot: Bool { geteuid() == 0 }

    /// The path of this program's executable.
    static var ownExecutable: String? { linkTarget("/proc/self/exe") }

    /// A path that means the same in whatever directory. One from a home stays as it is.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), !path.hasPrefix("~"), let folder = linkTarget("/proc/self/cwd") else { return path }
        return "\(folder)/\(path)"
    }

    static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }

    static func isExecutableFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// - Parameter limit: in bytes; a larger file is an error.
    /// - Throws: ``CommandFailure`` with the reason.
    static func readFile(_ path: String, limit: Int = 16 * 1024 * 1024) throws(CommandFailure) -> [UInt8] {
        let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandFailure("cannot read \(path): \(lastError)") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress!, $0.count) }
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw CommandFailure("cannot read \(path): \(lastError)")
            }
            bytes += buffer[..<count]
            guard bytes.count <= limit else { throw CommandFailure("\(path) has more than \(limit) bytes") }
        }
    }

    /// - Throws: ``CommandFailure`` with the reason.
    static func writeFile(_ path: String, _ text: String, mode: mode_t = 0o600) throws(CommandFailure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            throw CommandFailure("cannot write \(path): \(lastError)", exitStatus: ExitStatus.failed)
        }
        defer { close(descriptor) }
        let error = writeAll(Array(text.utf8), to: descriptor)
        guard error == 0 else {
            throw CommandFailure("cannot write \(path): \(errorText(error))", exitStatus: ExitStatus.failed)
        }
    }

    /// A new directory of mode 0700.
    ///
    /// - Throws: ``CommandFailure`` with the reason.
    static func makeTemporaryDirectory() throws(CommandFailure) -> String {
        let parent = variable("TMPDIR") ?? "/tmp"
        var template = Array("\(parent)/martlet-demo-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure("cannot make a directory in \(parent): \(lastError)", exitStatus: ExitStatus.failed)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// - Returns: whether it was made just now.
    static func makeDirectory(_ path: String, mode: mode_t) -> Bool { mkdir(path, mode) == 0 }

    static func changeDirectory(_ path: String) { _ = chdir(path) }

    static func removeEmptyDirectory(_ path: String) { _ = rmdir(path) }

    static var lastError: String { errorText(errno) }

    static func errorText(_ error: Int32) -> String { String(cString: strerror(error)) }
}

/// Something that is not a far machine's fault, told in one sentence.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String
    /// With what martlet exits: ``ExitStatus/usage`` where other words would help, ``ExitStatus/failed`` where this machine is
    /// at fault.
    var exitStatus: Int32

    init(_ description: String, exitStatus: Int32 = ExitStatus.usage) {
        (self.description, self.exitStatus) = (description, exitStatus)
    }
}
