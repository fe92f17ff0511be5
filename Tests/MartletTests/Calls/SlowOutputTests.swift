import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Prints lines of a kilobyte that begin with their number.
struct SayLong: RemoteTask {
    var lines: Int
    func run(in context: RemoteContext) async throws {
        let rest = String(repeating: "x", count: 4000)
        for number in 0..<lines { print("\(number) \(rest)") }
    }
}

@Suite(.leakChecked) struct SlowOutputTests {
    @Test(arguments: [Way.local, .relay])
    func `A handler that blocks stops who prints and nothing else; then all lines come in order`(
        way: Way
    ) async throws {
        let handler = BlockingHandler()
        defer { handler.release() }
        let count = 10_000
        let limit = Duration.seconds(2)
        try await withContext(way, handler.options(heartbeatLimit: limit)) { context in
            try await context.call(Nothing())
            let before = [getpid(), context.processID].map { residentMemory(of: $0) }
            let talk = Task { try await context.call(SayLong(lines: count)) }
            await eventually { handler.hasEntered }
            // Longer than anybody may be silent.
            let start = ContinuousClock.now
            var calls = 0
            while ContinuousClock.now - start < limit * 2 {
                let sum = try await context.call(Add(a: calls, b: 1), deadline: .seconds(10))
                #expect(sum == calls + 1)
                _ = try await context.ping(deadline: .seconds(10))
                let echo = try await context.run("echo through")
                #expect(echo.lines == ["through"])
                calls += 1
            }
            let status = try await context.status()
            #expect(status.running == 1)
            let grown = zip([getpid(), context.processID].map { residentMemory(of: $0) }, before).map { $0 - $1 }
            #expect(grown.allSatisfy { $0 < 24 << 20 }, "\(grown), of \(count * 4000) bytes")
            #expect(handler.texts.isEmpty)
            handler.release()
            try await talk.value
        }
        #expect(handler.texts == (0..<count).map { "\($0) " })
    }

    @Test func `A context whose tasks wait for a handler that blocks is closed in time, and so is the scope`()
        async throws
    {
        let handler = BlockingHandler()
        defer { handler.release() }
        let time = try await Duration.of {
            try await withLocalContext(handler.options()) { martlet, context in
                let talk = Task { try await context.call(SayLong(lines: 10_000)) }
                await eventually { handler.hasEntered }
                let entry = try #require(ProcessTable.entry(of: context.processID))
                await context.close()
                #expect(!entry.isAlive)
                await #expect(throws: MartletError.self) { try await talk.value }
                let other = try await martlet.connect(.local)
                #expect(try await other.call(Add(a: 1, b: 1)) == 2)
            }
        }
        // Five seconds are the handler's, if it is still at work then.
        #expect(time > .seconds(4), "\(time)")
        #expect(handler.texts.isEmpty)
        handler.release()
        await eventually { handler.texts.count == 1 }
    }

    @Test func `What has come is handed over before the scope ends`() async throws {
        let lines = Locked(0)
        var options = MartletOptions()
        options.onOutput = { _ in
            usleep(300)
            lines.withLock { $0 += 1 }
        }
        try await withLocalContext(options) { _, context in try await context.call(SayMuch(lines: 3000)) }
        #expect(lines.withLock { $0 } == 3000)
    }

    @Test func `What a program writes to a context's standard error is kept up to the bound`() async throws {
        let handler = BlockingHandler()
        defer { handler.release() }
        try await withLocalContext(handler.options()) { _, context in
            let before = residentMemory(of: getpid())
            try await context.call(Say(way: .descriptorTwo, text: "first"))
            await eventually { handler.hasEntered }
            // Nobody waits for this handler, or ssh would.
            try await context.call(FloodDescriptorTwo(lines: 18_000))
            _ = try await context.ping(deadline: .seconds(10))
            #expect(residentMemory(of: getpid()) - before < 160 << 20)
            handler.release()
            var count = 18_000
            await eventually(within: .seconds(60)) {
                count += 1
                try await context.call(Say(way: .descriptorTwo, text: "the last one"))
                return handler.texts.last == "the last one"
            }
            func dropped() -> Int {
                handler.texts.filter { $0.contains("dropped") }.reduce(0) {
                    $0 + ($1.split(separator: " ").compactMap { Int($0) }.first ?? 0)
                }
            }
            func came() -> Int { handler.texts.filter { Int($0.dropLast()) != nil || $0 == "the last one" }.count }
            await eventually { came() + dropped() == count }
            #expect(came() + dropped() == count && dropped() > 0, "\(came()) and \(dropped())")
            let numbers = handler.texts.compactMap { Int($0.dropLast()) }
            #expect(numbers == numbers.sorted())
        }
    }
}

/// Writes lines to the descriptor that a crash would use.
struct FloodDescriptorTwo: RemoteTask {
    var lines: Int
    func run(in context: RemoteContext) async throws {
        let rest = String(repeating: "x", count: 4000)
        var block = ""
        for number in 0..<lines {
            block += "\(number) \(rest)\n"
            if number % 100 == 99 || number == lines - 1 {
                write(block)
                block = ""
            }
        }
    }

    private func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(2, $0.baseAddress!, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
