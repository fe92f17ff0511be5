import Foundation

/// An empty folder for the length of `body`.
func withTestFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-command-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

/// The text of a file; empty if there is none.
func text(of path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
