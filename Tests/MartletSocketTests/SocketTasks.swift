import Foundation
import Martlet
import MartletTestKit
import Synchronization
import Testing

@testable import MartletSocket

extension Trait where Self == ConditionTrait {
    /// Starts NIO's thread before the suite's first test. It stays, and would be a leak of whichever test is under way.
    static var startsNIO: Self { .enabled("needs NIO's own thread, which stays") { SocketThreads.start() } }
}

struct Reverse: RemoteTask {
    var bytes: [UInt8]
    func run(in context: RemoteContext) async throws -> [UInt8] { bytes.reversed() }
}

/// Gathers what a server says of its connections.
final class ServerLog: Sendable {
    private let lines = Mutex<[String]>([])
    @Sendable func append(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
    func has(_ words: String) -> Bool { all.contains { $0.contains(words) } }
}

func quiet() -> MartletOptions {
    var options = MartletOptions()
    options.onOutput = { _ in }
    return options
}

/// The error of Martlet's that `body` must throw, with this code.
@discardableResult
func expectError<R>(
    _ code: MartletError.Code,
    sourceLocation: SourceLocation = #_sourceLocation,
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async throws -> MartletError {
    let error = try await #require(throws: MartletError.self, sourceLocation: sourceLocation) { _ = try await body() }
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    return error
}

/// Calls what moves more than any buffer, there and back.
func expectWorks(_ context: Context, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    #expect(try await context.call(Reverse(bytes: bytes)) == bytes.reversed(), sourceLocation: sourceLocation)
    #expect(try await context.run("echo fine").lines == ["fine"], sourceLocation: sourceLocation)
}

/// Runs `body` with a directory of its own, and removes it.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.appending(
        path: "martlet-socket-\(UInt32.random(in: .min ... .max))"
    ).path
    try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}
