import Foundation
import MartletTestKit
import Testing

/// The built `martlet`, from the directory that this test bundle is in, run as a program.
enum MartletProgram {
    static let path: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("martlet").path
    }()

    /// Where far sides on this machine keep images: never in the cache of whoever runs the tests.
    static let cache = "\(NSTemporaryDirectory())/martlet-command-tests-\(getpid())"

    static func run(
        _ arguments: [String],
        input: String = "",
        environment: [String: String] = [:],
        within limit: Duration = .seconds(60)
    ) async throws -> ProgramResult {
        try await runProgram(
            [path] + arguments, input: input, environment: variables(environment), within: limit)
    }

    /// Runs a line of shell in which `$martlet` is the program.
    static func shell(
        _ script: String,
        environment: [String: String] = [:],
        within limit: Duration = .seconds(60)
    ) async throws -> ProgramResult {
        try await runProgram(["sh", "-c", script], environment: variables(environment), within: limit)
    }

    private static func variables(_ given: [String: String]) -> [String: String] {
        [
            "XDG_CACHE_HOME": cache, "MARTLET_HUB": "off", "MARTLET_JOURNAL": "off", "XDG_CONFIG_HOME": "/nowhere",
            "martlet": path, "NO_COLOR": "", "TERM": "xterm",
        ].merging(given) { $1 }
    }

    /// A text that nothing else has, to find what a test started.
    static func marker() -> String { "marker-\(UInt64.random(in: 0 ... .max))" }

    static let hasServer = FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd")
}

/// The lines of `--json`, each of which has to be an object.
func jsonLines(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map { line in
        try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
}

extension ProgramResult {
    var outputLines: [String] { output.split(separator: "\n").map(String.init) }
}
