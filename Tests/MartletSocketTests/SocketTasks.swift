import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
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

/// Calls what moves more than any buffer, there and back.
func expectWorks(_ context: Context, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    #expect(try await context.call(Reverse(bytes: bytes)) == bytes.reversed(), sourceLocation: sourceLocation)
    #expect(try await context.run("echo fine").lines == ["fine"], sourceLocation: sourceLocation)
}
