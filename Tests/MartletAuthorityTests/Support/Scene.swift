import Foundation
import Glibc
import MartletLink
import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet

/// Where the bad child is.
enum Place: String, CaseIterable, Sendable {
    /// Below the controller.
    case controller
    /// Below an honest agent.
    case relay
}

/// A bad child, and those whom it must not harm.
struct Scene: Sendable {
    var martlet: Controller
    var raw: RawChild
    /// What the controller takes the bad child for.
    var context: Context
    /// Beside the bad child.
    var sibling: Context
    /// Above the bad child, if not the controller.
    var relay: Context?

    /// The address of the context above the bad child.
    var above: ContextAddress { relay?.address ?? .root }

    /// Everybody else works as before, and nothing has run that the bad child asked for.
    func checkThatOthersWork(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        #expect(try await sibling.call(Add(a: 1, b: 2), deadline: .seconds(20)) == 3, sourceLocation: sourceLocation)
        #expect(Witness.count.load(ordering: .relaxed) == 0, sourceLocation: sourceLocation)
        for other in [sibling, relay].compactMap({ $0 }) {
            #expect(try await other.call(CountWitnesses(), deadline: .seconds(20)) == 0, sourceLocation: sourceLocation)
        }
    }

    /// The bad child's link still works.
    func checkThatItLives(sourceLocation: SourceLocation = #_sourceLocation) {
        let answer = raw.ask(.echo, to: above, [7], sourceLocation: sourceLocation)
        #expect(answer?.header.kind == .end && answer?.payload == [7], sourceLocation: sourceLocation)
    }

    /// What `offence` does ends the bad child's link: who waits for it learns why.
    func expectEnd(
        because text: String, sourceLocation: SourceLocation = #_sourceLocation, _ offence: () -> Void
    ) async throws {
        let waiting = Task { [context] in try await context.call(Add(a: 1, b: 1), deadline: .seconds(30)) }
        _ = raw.opened(.call, sourceLocation: sourceLocation)
        offence()
        raw.untilOver(sourceLocation: sourceLocation)
        let error = await #expect(throws: MartletError.self, sourceLocation: sourceLocation) { try await waiting.value }
        #expect(error?.code == .contextLost, sourceLocation: sourceLocation)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
        try await checkThatOthersWork(sourceLocation: sourceLocation)
    }
}

/// Runs `body` with a bad child.
func withScene(
    _ place: Place, _ change: (inout MartletOptions) -> Void = { _ in }, _ body: @Sendable (Scene) async throws -> Void
) async throws {
    var options = MartletOptions()
    options.onOutput = { _ in }
    change(&options)
    try await withMartlet(options) { martlet in
        let raw = try RawChild()
        defer { raw.remove() }
        let build = martlet.runtime.images.ownBuild
        switch place {
        case .controller:
            let sibling = try await martlet.connect(.local)
            async let connect = martlet.connect(raw.connector)
            try await raw.join(build: build)
            try await body(Scene(martlet: martlet, raw: raw, context: connect, sibling: sibling))
        case .relay:
            let relay = try await martlet.connect(.local)
            let sibling = try await relay.connect(.local)
            async let connect = relay.connect(raw.connector)
            try await raw.join(build: build)
            try await body(Scene(martlet: martlet, raw: raw, context: connect, sibling: sibling, relay: relay))
        }
    }
}

struct Add: RemoteTask {
    var a: Int
    var b: Int
    func run(in context: RemoteContext) async throws -> Int { a + b }
}

/// Must never run where a bad child wants it to.
struct Witness: RemoteTask {
    static let count = Atomic(0)
    func run(in context: RemoteContext) async throws { Self.count.add(1, ordering: .relaxed) }

    /// A call of it, as it is on the wire.
    static var request: [UInt8] {
        get throws {
            try CallRequest.encode(
                Witness(), named: TaskRegistry.name(of: Witness.self), deadline: 0, headers: CallHeaders())
        }
    }
}

struct CountWitnesses: RemoteTask {
    func run(in context: RemoteContext) async throws -> Int { Witness.count.load(ordering: .relaxed) }
}

/// Takes an end, for a bad child that does as it likes with it.
struct TakeEnd: RemoteTask {
    var end: Channel<[UInt8]>
    func run(in context: RemoteContext) async throws {}
}

/// Lines that contexts print.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ output: ContextOutput) { lines.withLock { $0.append(output.text) } }
    var texts: [String] { lines.withLock { $0 } }
}

extension ContextAddress {
    var wireBytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { write(to: base) } }
        return bytes
    }
}
