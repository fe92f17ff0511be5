import Foundation
import MartletTestKit
import Testing

@testable import Martlet

/// Sends items, prints lines and is done; nobody waits until they have arrived.
struct FloodAndReturn: RemoteTask {
    var to: Channel<[UInt8]>
    var items: Int
    var lines: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<lines { print("line \(number)") }
        for number in 0..<items { try await to.send(Array(repeating: UInt8(truncatingIfNeeded: number), count: 1000)) }
    }
}

/// Sends for ever.
struct FloodForEver: RemoteTask {
    var to: Channel<[UInt8]>
    var started: String
    func run(in context: RemoteContext) async throws {
        Signpost.leave(started)
        while true { try await to.send(Array(repeating: 1, count: 10_000)) }
    }
}

@Suite(.leakChecked) struct ShutdownTests {
    @Test(arguments: Way.available)
    func `What was sent before a shutdown arrives`(way: Way) async throws {
        let log = OutputLog()
        try await withContext(way, log.options) { context in
            let (lines, to) = context.makeChannel(of: [UInt8].self)
            // The window is filled, and more waits at the far side.
            let items = 1000
            try await context.post(FloodAndReturn(to: to, items: items, lines: 2000))
            let first = try await lines.receive()
            #expect(first != nil)
            let shutdown = Task { await context.shutdown(deadline: .seconds(20)) }
            // The far side refuses new work from now on, and waits for this reader.
            await eventually {
                do {
                    _ = try await context.call(Nothing())
                    return false
                } catch { return (error as? MartletError)?.code == .contextLost }
            }
            var count = 1
            do { while try await lines.receive() != nil { count += 1 } } catch is MartletError {}
            #expect(count >= 520, "\(count)")
            await shutdown.value
            await eventually { log.line(with: "line 1999") != nil }
            let texts = log.texts().filter { $0.hasPrefix("line") }
            #expect(texts == (0..<2000).map { "line \($0)" })
        }
    }

    @Test func `A shutdown is forced at its deadline`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                let (lines, to) = context.makeChannel(of: [UInt8].self)
                let never = Task { try await context.call(NeverEnd(started: folder.file("never"))) }
                try await context.post(FloodForEver(to: to, started: folder.file("started")))
                await eventually { folder.has("started") && folder.has("never") }
                let entry = try #require(ProcessTable.entry(of: context.processID))
                let time = await Duration.of { await context.shutdown(deadline: .seconds(1)) }
                #expect(time > .milliseconds(900) && time < .seconds(5), "\(time)")
                #expect(!entry.isAlive)
                await #expect(throws: MartletError.self) { try await never.value }
                _ = lines
            }
        }
    }

    @Test func `A shutdown of a controller drains contexts at every depth`() async throws {
        let log = OutputLog()
        try await withMartlet(log.options) { martlet in
            let context = try await martlet.connect(.local)
            let below = try await context.connect(.local)
            try await below.call(PrintNumbered(count: 3000))
            let time = await Duration.of { await martlet.shutdown(deadline: .seconds(10)) }
            #expect(time < .seconds(8), "\(time)")
            await eventually { log.line(with: "line 2999") != nil }
            let texts = log.texts().filter { $0.hasPrefix("line") }
            #expect(texts == (0..<3000).map { "line \($0)" })
            #expect(ProcessTable.entry(of: below.processID) == nil)
        }
    }
}

/// Prints numbered lines.
struct PrintNumbered: RemoteTask {
    var count: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<count { print("line \(number)") }
    }
}
