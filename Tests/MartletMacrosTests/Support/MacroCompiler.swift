import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

/// The compiler, with the plug-in that the build made: a user's program gets the same of it.
enum MacroCompiler {
    /// Checks a file; that it imports `MartletMacros` is added.
    ///
    /// - Parameter options: of the compiler's frontend.
    /// - Returns: what it says. Its status is 0 if it found nothing wrong.
    static func check(_ source: String, _ options: String...) async throws -> ProgramResult {
        let built = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        let root = URL(fileURLWithPath: #filePath).appending(path: "../../../..").standardized.path
        return try await TestFolder.with { folder in
            let file = folder.file("Functions.swift")
            // Behind all else, so that the lines keep their numbers.
            try (source + "\nimport MartletMacros\n").write(toFile: file, atomically: true, encoding: .utf8)
            let modules = [
                "-I", built + "/Modules", "-I", root + "/Sources/CMartlet/include",
                "-Xcc", "-fmodule-map-file=\(built)/CMartlet.build/module.modulemap",
            ]
            let plugin = ["-load-plugin-executable", "\(built)/MartletMacroPlugin-tool#MartletMacroPlugin"]
            return try await runProgram(
                ["swiftc", "-frontend", "-typecheck", "-swift-version", "6", "-parse-as-library"] + modules + plugin
                    + options + [file])
        }
    }

    /// What the plug-in wrote for the one function of a file.
    static func expansion(of source: String) async throws -> String {
        let said = try await check(source, "-dump-macro-expansions").errors
        let line = "------------------------------\n"
        let parts = said.components(separatedBy: line)
        try #require(parts.count == 3, "not one expansion: \(said)")
        return parts[1].trimmingCharacters(in: .newlines)
    }
}
