import Foundation

/// A directory for the files by which tasks and programs tell a test how far they are.
package struct TestFolder: Codable, Sendable {
    package let path: String

    /// A directory that somebody else has made, and removes.
    package init(path: String) { self.path = path }

    /// Runs `body` with a new directory, and removes it.
    ///
    /// - Parameter permissions: who may do what in it. Default what the process gives to all that it makes.
    package static func with<R>(
        permissions: Int? = nil,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (TestFolder) async throws -> R
    ) async throws -> R {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "martlet-scratch-\(UInt64.random(in: 0 ... .max))").path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: permissions.map { [.posixPermissions: $0] })
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(TestFolder(path: path))
    }

    package func file(_ name: String) -> String { "\(path)/\(name)" }
    package func has(_ name: String) -> Bool { access(file(name), F_OK) == 0 }
    /// A script for `sh`.
    package func writeProgram(_ name: String, _ script: String) throws {
        try "#!/bin/sh\n\(script)\n".write(toFile: file(name), atomically: true, encoding: .utf8)
        chmod(file(name), 0o755)
    }
    package func touch(_ name: String) { Signpost.leave(file(name)) }
    package func count(_ prefix: String) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0.hasPrefix(prefix) }.count
    }
    package func text(_ name: String) -> String { (try? String(contentsOfFile: file(name), encoding: .utf8)) ?? "" }
}

/// A file whose being there says something.
package enum Signpost {
    package static func leave(_ path: String) {
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
    }

    /// Blocks the thread until the file is there; gives up after a minute, so that nothing hangs for ever.
    package static func block(until path: String) {
        for _ in 0..<12_000 where access(path, F_OK) != 0 { usleep(5_000) }
    }
}
