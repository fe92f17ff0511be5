import Foundation

/// A directory for the files by which tasks and programs tell a test how far they are.
struct TestFolder: Codable, Sendable {
    let path: String

    /// Runs `body` with a new directory, and removes it.
    static func with<R>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (TestFolder) async throws -> R
    ) async throws -> R {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "martlet-scratch-\(UInt64.random(in: 0 ... .max))").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(TestFolder(path: path))
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }
    func has(_ name: String) -> Bool { access(file(name), F_OK) == 0 }
    /// A script for `sh`.
    func writeProgram(_ name: String, _ script: String) throws {
        try "#!/bin/sh\n\(script)\n".write(toFile: file(name), atomically: true, encoding: .utf8)
        chmod(file(name), 0o755)
    }
    func touch(_ name: String) { Signpost.leave(file(name)) }
    func count(_ prefix: String) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0.hasPrefix(prefix) }.count
    }
    func text(_ name: String) -> String { (try? String(contentsOfFile: file(name), encoding: .utf8)) ?? "" }
}

/// A file whose being there says something.
enum Signpost {
    static func leave(_ path: String) {
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
    }

    /// Blocks the thread until the file is there; gives up after a minute, so that nothing hangs for ever.
    static func block(until path: String) {
        for _ in 0..<12_000 where access(path, F_OK) != 0 { usleep(5_000) }
    }
}
