import Foundation
import Martlet
import MartletPython
import MartletTestKit
import MartletTestSupport

/// The interpreters of this machine, from Python 2.7 to the newest; the tests run with each.
enum Interpreters {
    /// The one that is taken if none is named.
    static let usual = "python3"

    static let all: [String] = {
        let named = ["/usr/bin/python3", "/usr/bin/python2.7", "/usr/bin/pypy3", "/usr/bin/pypy"]
        let root = ProcessInfo.processInfo.environment["PYENV_ROOT"] ?? NSHomeDirectory() + "/.pyenv"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root + "/versions")) ?? []
        let built = versions.sorted().map { "\(root)/versions/\($0)/bin/python" }
        let found = (named + built).filter(FileManager.default.isExecutableFile)
        return found.isEmpty ? [usual] : found
    }()

    /// From Python 3.7 on.
    static func hasResources(_ interpreter: String) -> Bool {
        !["/2.7", "2.7", "/3.6", "/usr/bin/pypy"].contains { interpreter.contains($0) } || interpreter.contains("pypy3")
    }

    static let old = all.first { $0.contains("/2.7") || $0.contains("python2.7") }
}

/// Runs `body` with a Python context in a process of its own on this machine.
func withPython(
    _ interpreter: String = Interpreters.usual,
    _ options: MartletOptions = OutputLog().options,
    _ body: @Sendable (PythonContext) async throws -> Void
) async throws {
    try await withMartlet(options) { martlet in
        try await body(try await martlet.connect(.local, runtime: .python(interpreter)))
    }
}
