import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Facts {
    /// This machine's, from system calls and two small files.
    static func current() -> Facts {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        return Facts(
            system: text(name.sysname),
            release: text(name.release),
            architecture: text(name.machine),
            hostname: text(name.nodename),
            user: userName(geteuid()),
            userID: geteuid(),
            processID: getpid(),
            processors: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
            memory: pages > 0 ? UInt64(pages) * UInt64(sysconf(Int32(_SC_PAGESIZE))) : 0,
            distribution: distribution()
        )
    }

    private static func userName(_ id: UInt32) -> String {
        PasswordFile.fields(of: id)?.first.map(String.init) ?? "\(id)"
    }

    private static func distribution() -> String? {
        for line in (SmallFile.text(of: "/etc/os-release", limit: 16 * 1024) ?? "").split(separator: "\n")
        where line.hasPrefix("PRETTY_NAME=") {
            return String(line.dropFirst("PRETTY_NAME=".count)).filter { $0 != "\"" }
        }
        return nil
    }
}

/// What `/etc/passwd` says, and nothing else: a static program cannot ask the other name services, and must not wait for them.
package enum PasswordFile {
    /// Name, password, number, group, full name, home, shell; at least three of them.
    static func fields(of id: UInt32) -> [Substring]? { fields(where: { $0[2] == "\(id)" }) }

    /// The home of the account of that name; `nil` if it is none, or has none.
    package static func home(of name: some StringProtocol) -> String? {
        let fields = fields { $0[0] == name } ?? []
        return fields.count > 5 && fields[5].hasPrefix("/") ? String(fields[5]) : nil
    }

    private static func fields(where isMeant: ([Substring]) -> Bool) -> [Substring]? {
        let file = SmallFile.text(of: "/etc/passwd", limit: 256 * 1024) ?? ""
        for line in file.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, isMeant(fields) { return fields }
        }
        return nil
    }
}

/// Reads files that are known to be small.
enum SmallFile {
    /// - Returns: the first `limit` bytes as text; `nil` if the file cannot be read.
    static func text(of path: String, limit: Int) -> String? {
        bytes(of: path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    static func bytes(of path: String, limit: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { closeDescriptor(file) }
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let room = min(limit - bytes.count, 64 * 1024)
            let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                count = max(0, readBytes(file, buffer.baseAddress!, room))
            }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }
}
