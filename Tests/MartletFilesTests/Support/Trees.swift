import Foundation
import Martlet
import MartletTestSupport

/// What stands under a name, in a form that can be compared and printed.
struct Thing: Equatable, CustomStringConvertible {
    var kind: String
    var mode: UInt32
    var content: [UInt8]
    var description: String { "\(kind) \(String(mode, radix: 8)) \(content.count) bytes, hash \(content.hashValue & 0xffff)" }
}

enum Trees {
    static func write(_ path: String, _ content: [UInt8], mode: UInt32 = 0o644, modified: Int? = nil) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(descriptor >= 0, path)
        var offset = 0
        while offset < content.count {
            offset += content.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + offset, content.count - offset) }
        }
        fchmod(descriptor, mode)
        close(descriptor)
        if let modified { touch(path, modified) }
    }

    static func touch(_ path: String, _ seconds: Int, nanoseconds: Int = 0) {
        let times = [timespec(tv_sec: seconds, tv_nsec: nanoseconds), timespec(tv_sec: seconds, tv_nsec: nanoseconds)]
        utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW)
    }

    static func status(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    static func mode(_ path: String) -> UInt32? { status(path).map { $0.st_mode & 0o7777 } }
    static func bytes(_ path: String) -> [UInt8]? { FileManager.default.contents(atPath: path).map { Array($0) } }
    static func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }
    static func makeFolder(_ path: String, mode: UInt32 = 0o755) {
        mkdir(path, 0o700)
        chmod(path, mode)
    }

    static func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    /// All below a folder, with names that may be no text.
    static func all(_ folder: String, hasModes: Bool = true) -> [[UInt8]: Thing] {
        var found: [[UInt8]: Thing] = [:]
        func visit(_ path: [UInt8], _ name: [UInt8]) {
            let full = path + [0]
            full.withUnsafeBytes { bytes in
                let pointer = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
                var status = stat()
                guard lstat(pointer, &status) == 0 else { return }
                let mode = hasModes ? status.st_mode & 0o7777 : 0
                switch status.st_mode & S_IFMT {
                case S_IFDIR:
                    if !name.isEmpty { found[name] = Thing(kind: "folder", mode: mode, content: []) }
                    guard let directory = opendir(pointer) else { return }
                    defer { closedir(directory) }
                    while let entry = readdir(directory) {
                        let inner = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
                        if inner == [46] || inner == [46, 46] { continue }
                        visit(path + [47] + inner, name.isEmpty ? inner : name + [47] + inner)
                    }
                case S_IFLNK:
                    var target = [UInt8](repeating: 0, count: 4096)
                    let count = readlink(pointer, &target, target.count)
                    found[name] = Thing(kind: "link", mode: 0, content: Array(target.prefix(max(0, count))))
                default:
                    var content: [UInt8] = []
                    let descriptor = open(pointer, O_RDONLY | O_CLOEXEC)
                    var room = [UInt8](repeating: 0, count: 1 << 16)
                    while case let count = read(descriptor, &room, room.count), count > 0 { content += room.prefix(count) }
                    close(descriptor)
                    found[name] = Thing(kind: "file", mode: mode, content: content)
                }
            }
        }
        visit(Array(folder.utf8), [])
        return found
    }

    /// A tree with one of everything.
    static func make(_ folder: String) {
        makeFolder(folder)
        makeFolder("\(folder)/sub", mode: 0o750)
        makeFolder("\(folder)/sub/deep", mode: 0o700)
        makeFolder("\(folder)/empty", mode: 0o711)
        write("\(folder)/plain", pattern(1000), mode: 0o640)
        write("\(folder)/program", pattern(70_001), mode: 0o755)
        write("\(folder)/nothing", [], mode: 0o600)
        write("\(folder)/large", pattern(900_001))
        write("\(folder)/sub/line\nfeed €", pattern(3))
        write("\(folder)/sub/deep/last", pattern(300_000), mode: 0o444)
        symlink("plain", "\(folder)/link")
        symlink("/nowhere/at all", "\(folder)/sub/dangling")
        symlink("..", "\(folder)/sub/up")
        let odd = Array("\(folder)/odd-".utf8) + [0xff, 0x80, 0]
        _ = odd.withUnsafeBytes { close(open($0.baseAddress!.assumingMemoryBound(to: CChar.self), O_CREAT | O_WRONLY | O_CLOEXEC, 0o644)) }
    }

    static func remove(_ folder: String) {
        guard let kind = status(folder)?.st_mode else { return }
        if kind & S_IFMT == S_IFDIR {
            chmod(folder, 0o700)
            for name in names(folder) { remove("\(folder)/\(name)") }
        }
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// Runs `body` with a new folder and a context.
func withFolderAndContext(
    _ way: Way = .local, _ body: @Sendable (String, Context) async throws -> Void
) async throws {
    try await TestFolder.with { folder in
        try await withContext(way) { context in try await body(folder.path, context) }
    }
}

func failure(_ body: () async throws -> Void) async -> MartletError? {
    do { try await body() } catch { return error as? MartletError }
    return nil
}

/// Names in a folder that only we make, and only while we write.
func leftovers(_ folder: String) -> [String] { Trees.names(folder).filter { $0.utf8.starts(with: ".".utf8) } }
