import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport

/// A program that stands for one that cannot run here: it records its arguments, and then does what the real one would do
/// with them on the near side.
struct FakeProgram: Sendable {
    let name: String
    private let folder: TestFolder

    /// - Parameter script: what it does; the words are in `$@`.
    init(_ name: String, in folder: TestFolder, _ script: String) throws {
        self.name = name
        self.folder = folder
        try folder.writeProgram(
            name, "printf '%s\\0' \"$@\" >'\(folder.file(name)).words'\npwd >'\(folder.file(name)).pwd'\n\(script)")
    }

    /// What it was called with, exactly.
    var words: [String] {
        folder.text("\(name).words").split(separator: "\0", omittingEmptySubsequences: false).dropLast().map(
            String.init)
    }

    /// Where it was called.
    var directory: String { folder.text("\(name).pwd").trimmingCharacters(in: .newlines) }
}

/// Runs `body` with a context that finds programs in a new folder first.
func withFakePrograms(_ body: @Sendable (Context, TestFolder) async throws -> Void) async throws {
    try await TestFolder.with { folder in
        try await withMartlet(OutputLog().options) { martlet in
            var options = LocalOptions()
            options.environment["PATH"] = "\(folder.path):" + (ProcessInfo.processInfo.environment["PATH"] ?? "")
            options.environment["XDG_CACHE_HOME"] = sharedCache
            try await body(try await martlet.connect(.local(options)), folder)
        }
    }
}
