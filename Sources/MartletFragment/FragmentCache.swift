import CMartlet
import Martlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The folder of what the compiler made. What is in it came by a rename, whole; it is ours alone.
struct FragmentCache: Sendable {
    struct Found {
        var descriptor: Int32
        var byteCount: Int
    }

    /// Holds others up that are about to make the same, in this process or another.
    struct Lock {
        fileprivate var descriptor: Int32
        func release() { closeDescriptor(descriptor) }
    }

    private static let keptFragments = 16
    /// What all fragments share, of compilers and targets.
    private static let keptRuntimes = 4
    /// What a process that was killed left is removed after so many seconds.
    private static let staleAfter = 3600

    let folder: String

    /// - Throws: ``MartletError`` `imageUnusable` if it cannot be made, or others can write there.
    init(
        _ given: String? = nil, environment: ProcessEnvironment = .current
    ) throws(MartletError) {
        let named = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        let base = named ?? environment["HOME"].map { "\($0)/.cache" }
        guard let folder = given ?? base.map({ "\($0)/martlet/fragments" }), folder.hasPrefix("/") else {
            throw MartletError(
                .imageUnusable, "there is no folder for compiled fragments: neither XDG_CACHE_HOME nor HOME is set")
        }
        if given == nil, let base {
            if named == nil, let home = environment["HOME"] { try Self.expectOurs(home) }
            try Self.expectOurs(base)
        }
        var information = stat()
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/\(part)"
            guard access(path, F_OK) == 0 || mkdir(path, 0o700) == 0 || errno == EEXIST else {
                throw Self.error("make \(path)")
            }
        }
        // By one name, whatever leads to it: the compiler notes where its modules are.
        guard let real = realpath(folder, nil) else { throw Self.error("find \(folder)") }
        self.folder = String(cString: real)
        free(real)
        guard lstat(folder, &information) == 0 else { throw Self.error("look at \(folder)") }
        guard information.st_mode & S_IFMT == S_IFDIR, information.st_uid == geteuid(), information.st_mode & 0o022 == 0
        else {
            throw MartletError(
                .imageUnusable, "\(folder) is not a folder that only we may write to",
                advice: "remove it; it only holds what can be compiled again")
        }
    }

    /// With the caller's home or cache, as under sudo, what root makes there would lock its owner out, who could exchange
    /// it, too.
    ///
    /// - Throws: ``MartletError`` `imageUnusable` if the path, or what is there of it, belongs to somebody else.
    private static func expectOurs(_ path: String) throws(MartletError) {
        var information = stat()
        var existing = path[...]
        while stat(existing.isEmpty ? "/" : String(existing), &information) != 0,
            let slash = existing.lastIndex(of: "/")
        {
            existing = existing[..<slash]
        }
        guard information.st_uid != geteuid() else { return }
        throw MartletError(
            .imageUnusable,
            "\(existing.isEmpty ? "/" : existing) belongs to somebody else, so that compiled fragments are not kept there",
            advice: "name a folder of your own in XDG_CACHE_HOME")
    }

    private static func error(_ what: String) -> MartletError {
        MartletError(.imageUnusable, "\(SystemError(errno, what))", advice: "name another folder in XDG_CACHE_HOME")
    }

    /// A name for what is made of these texts.
    static func key(_ parts: [String]) -> String {
        var bytes: [UInt8] = []
        for part in parts {
            withUnsafeBytes(of: UInt64(part.utf8.count).bigEndian) { bytes += $0 }
            bytes += part.utf8
        }
        var digest = [UInt8](repeating: 0, count: 32)
        martlet_sha256(bytes, bytes.count, &digest)
        return digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// What is compiled refers to the modules of the C library that the compiler keeps: so they are kept here too.
    var compilerOptions: [String] { ["-module-cache-path", "\(folder)/modules"] }

    // MARK: What is there

    func has(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// Opens what is kept, and notes that it was used.
    func open(_ name: String) -> Found? {
        let descriptor = openFile("\(folder)/\(name)", O_RDONLY)
        guard descriptor >= 0 else { return nil }
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_size > 0 else {
            closeDescriptor(descriptor)
            return nil
        }
        futimens(descriptor, nil)
        return Found(descriptor: descriptor, byteCount: Int(information.st_size))
    }

    private func openFile(_ path: String, _ flags: Int32) -> Int32 {
        #if canImport(Glibc)
        Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        #else
        Musl.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        #endif
    }

    // MARK: What is made

    /// Waits for a turn. There are few files for that, which stay.
    ///
    /// - Throws: ``MartletError`` `deadlineExceeded` if others take longer than `limit`; `imageUnusable`;
    ///   `CancellationError`.
    func lock(_ key: String, within limit: Duration) async throws -> Lock {
        let path = "\(folder)/lock-\(key == "runtime" ? "runtime" : String(key.prefix(1)))"
        let descriptor = openFile(path, O_RDWR | O_CREAT)
        guard descriptor >= 0 else { throw Self.error("open \(path)") }
        let deadline = Reactor.now + limit.clampedNanoseconds
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let error = errno
            do {
                guard error == EWOULDBLOCK || error == EINTR else {
                    throw MartletError(.imageUnusable, "\(SystemError(error, "lock \(path)"))")
                }
                // Who holds it has a deadline too, unless it was stopped.
                guard Reactor.now < deadline else {
                    throw MartletError(
                        .deadlineExceeded, "another compile has held \(path) for longer than \(limit)",
                        advice: "end who holds it, or raise SwiftCompiler.deadline")
                }
                try await Task.sleep(for: .milliseconds(20))
            } catch {
                closeDescriptor(descriptor)
                throw error
            }
        }
        return Lock(descriptor: descriptor)
    }

    func makeWorkFolder() throws(MartletError) -> String {
        var template = Array("\(folder)/work-XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { throw Self.error("make a folder in \(folder)") }
        return String(cString: path)
    }

    func write(_ text: String, _ path: String) throws(MartletError) {
        let descriptor = openFile(path, O_WRONLY | O_CREAT | O_EXCL)
        guard descriptor >= 0 else { throw Self.error("make \(path)") }
        defer { closeDescriptor(descriptor) }
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { writeSome(descriptor, UnsafeRawBufferPointer(rebasing: $0[offset...])) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.error("write \(path)") }
            offset += count
        }
    }

    private func writeSome(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, bytes.baseAddress!, bytes.count)
        #else
        Musl.write(descriptor, bytes.baseAddress!, bytes.count)
        #endif
    }

    func keep(_ path: String, _ name: String) throws(MartletError) {
        guard rename(path, "\(folder)/\(name)") == 0 else { throw Self.error("keep \(name) in \(folder)") }
    }

    /// Removes a file, or a folder of files.
    func remove(_ path: String) {
        guard unlink(path) != 0, errno == EISDIR || errno == EPERM, let folder = opendir(path) else { return }
        while let entry = readdir(folder) {
            let name = Self.name(entry)
            if name != ".", name != ".." { unlink("\(path)/\(name)") }
        }
        closedir(folder)
        rmdir(path)
    }

    /// Removes what was used longest ago.
    func prune() {
        guard let directory = opendir(folder) else { return }
        var found: [(name: String, time: Int)] = []
        while let entry = readdir(directory) {
            let name = Self.name(entry)
            var information = stat()
            if lstat("\(folder)/\(name)", &information) == 0 { found.append((name, information.st_mtim.tv_sec)) }
        }
        closedir(directory)
        found.sort { $0.time > $1.time }
        let fragments = found.filter { $0.name.hasPrefix("fragment-") }.dropFirst(Self.keptFragments)
        let runtimes = found.filter { $0.name.hasPrefix("runtime-") }.dropFirst(Self.keptRuntimes)
        let now = time(nil)
        let stale = found.filter { $0.name.hasPrefix("work-") && now - $0.time > Self.staleAfter }
        for entry in Array(fragments) + Array(runtimes) + stale { remove("\(folder)/\(entry.name)") }
    }

    private static func name(_ entry: UnsafeMutablePointer<dirent>) -> String {
        withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
    }
}
