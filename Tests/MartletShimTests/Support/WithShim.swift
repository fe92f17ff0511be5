import Foundation
import Martlet
import MartletShim
import MartletTestKit
import MartletTestSupport
import Testing

/// Runs `body` with an `ssh` that leads into a context on this machine, and a folder for both sides.
func withShim(
    _ way: Way = .local,
    _ body: @Sendable (_ shim: SSHShim, _ context: Context, _ folder: TestFolder) async throws -> Void
) async throws {
    try await withContext(way) { context in
        try await TestFolder.with { folder in
            try await withSSH(.any(context)) { shim in try await body(shim, context, folder) }
        }
    }
}

extension SSHShim {
    /// A line of shell in which `ssh` is ours; it has to end by itself.
    func shell(_ line: String, _ folder: TestFolder? = nil) async throws -> CommandResult {
        var options = CommandOptions()
        options.timeout = .seconds(120)
        options.environment["HOST_FOLDER"] = .some(folder?.path)
        options.environment["LC_ALL"] = "C"
        return try await run(["sh", "-c", line], options: options)
    }
}

extension CommandResult {
    /// What a failed test wants to know.
    var report: String { "\(termination)\n\(text.prefix(2000))\n\(errorText.prefix(2000))" }
}

/// A tree of files with odd names and contents.
func makeTree(_ root: String, files: Int = 120) throws {
    let manager = FileManager.default
    for number in 0..<files {
        let folder = "\(root)/d\(number % 7)/e \(number % 3)"
        try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(pattern(number * 97)).write(to: URL(fileURLWithPath: "\(folder)/f\(number) ü'\"$"))
    }
    try Data(pattern(5_000_000)).write(to: URL(fileURLWithPath: "\(root)/large"))
    try manager.createSymbolicLink(atPath: "\(root)/link", withDestinationPath: "large")
}

func expectSame(_ a: String, _ b: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let result = try await runProgram(["diff", "-r", "--no-dereference", a, b])
    #expect(result.exitCode == 0, "\(result.output.prefix(500))", sourceLocation: sourceLocation)
}

func isInstalled(_ tool: String) -> Bool {
    ["/usr/bin", "/bin", "/usr/local/bin"].contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
}
