import Foundation
import MartletPython
import MartletTestSupport
import Synchronization

/// A folder of Python files that are offered to contexts.
final class ModuleScene: Sendable {
    let folder: String
    let output = OutputLog()
    let questions = Mutex<@Sendable () -> Int>({ 0 })

    init(folder: String, _ files: [String: String]) throws {
        self.folder = folder
        for (name, text) in files {
            let file = URL(filePath: "\(folder)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }

    func modules(_ script: String?) -> PythonModules {
        PythonModules(paths: [folder], script: script.map { "\(folder)/\($0)" })
    }

    /// How many questions the controller was asked.
    var asked: Int { questions.withLock { $0 }() }
}

/// A folder that is gone behind `body`.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-py-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}
