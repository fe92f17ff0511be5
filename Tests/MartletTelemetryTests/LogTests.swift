import Logging
import Martlet
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

struct LogEach: RemoteTask {
    var label: String
    var text: String
    var ownLevel: String?
    func run(in context: RemoteContext) async throws {
        var logger = Logger(label: label)
        logger[metadataKey: "of"] = "the logger"
        if let ownLevel { logger.logLevel = Logger.Level(rawValue: ownLevel)! }
        for level in Logger.Level.allCases {
            logger.log(
                level: level, "\(text) \(level)",
                metadata: ["list": ["a", .dictionary(["b": "c"])], "number": .stringConvertible(7)])
        }
    }
}

struct LogMany: RemoteTask {
    var label: String
    var count: Int
    func run(in context: RemoteContext) async throws {
        let logger = Logger(label: label)
        for number in 0..<count { logger.info("\(number)") }
    }
}

struct LogLarge: RemoteTask {
    var label: String
    func run(in context: RemoteContext) async throws {
        let logger = Logger(label: label)
        logger.info("\(String(repeating: "x", count: 1_000_000))")
        var metadata: Logger.Metadata = [:]
        for number in 0..<20 { metadata["k\(number)"] = .string(String(repeating: "y", count: 10_000)) }
        logger.info("with metadata", metadata: metadata)
        var deep = Logger.Metadata.Value.string("bottom")
        for _ in 0..<1000 { deep = .array([deep]) }
        logger.info("deep", metadata: ["deep": deep])
        logger.info("after")
    }
}

struct FailQuietly: RemoteTask {
    var text: String
    func run(in context: RemoteContext) async throws { throw MartletError(.taskFailed, text) }
}

@Suite(.serialized, .leakChecked) struct LogTests {
    @Test(arguments: [1, 2, 3])
    func `Records come from any depth with all that they have`(depth: Int) async throws {
        try await withContexts { martlet, first in
            var context = first
            for _ in 1..<depth { context = try await context.connect(.local) }
            let label = "depth \(depth)"
            try await context.call(LogEach(label: label, text: "grüße"))
            await eventually { LogStore.shared.labelled(label).contains { $0.level == .critical } }
            let entries = LogStore.shared.labelled(label)
            #expect(entries.map(\.level) == [.info, .notice, .warning, .error, .critical])
            let entry = try #require(entries.first)
            #expect(entry.message == "grüße info")
            #expect(entry.metadata["of"] == "the logger")
            #expect(entry.metadata["list"] == ["a", .dictionary(["b": "c"])])
            #expect(entry.metadata["number"] == "7")
            #expect(entry.metadata["context"] == "\(context.route)")
            #expect(entry.source == "MartletTelemetryTests")
            #expect(entry.function == "run(in:)")
        }
    }

    @Test func `Records come in order, the last before the context is closed too`() async throws {
        try await withContexts { _, context in
            try await context.call(LogMany(label: "order", count: 1500))
            await context.close()
        }
        // The scope's end waits for the handlers.
        #expect(LogStore.shared.labelled("order").map(\.message) == (0..<1500).map(String.init))
    }

    @Test func `What was logged before a shutdown arrives, however slow the handler`() async throws {
        try await withContexts { _, context in
            // More than one window, so that the rest waits over there; less than may wait.
            let count = 2000
            LogStore.shared.isHeld.store(true, ordering: .relaxed)
            defer { LogStore.shared.isHeld.store(false, ordering: .relaxed) }
            try await context.call(LogMany(label: "shutdown", count: count))
            let shutdown = Task { await context.shutdown(deadline: .seconds(60)) }
            await eventually {
                do {
                    try await context.call(LogMany(label: "none", count: 0))
                    return false
                } catch { return true }
            }
            #expect(LogStore.shared.labelled("shutdown").isEmpty)
            LogStore.shared.isHeld.store(false, ordering: .relaxed)
            await shutdown.value
            await eventually { LogStore.shared.labelled("shutdown").count == count }
            #expect(LogStore.shared.labelled("shutdown").map(\.message) == (0..<count).map(String.init))
        }
    }

    @Test func `The level is the controller's, unless a logger has its own`() async throws {
        try await withContexts {
            $0.logLevel = .warning
        } _: { _, context in
            try await context.call(LogEach(label: "loud a", text: ""))
            try await context.call(LogEach(label: "loud b", text: "", ownLevel: "trace"))
            await eventually { LogStore.shared.labelled("loud b").count == 7 }
            #expect(LogStore.shared.labelled("loud a").map(\.level) == [.warning, .error, .critical])
        }
        // Here the loggers judge.
        try await withContexts {
            $0.logLevel = .trace
        } _: { _, context in
            try await context.call(LogEach(label: "quiet", text: ""))
            await eventually { LogStore.shared.labelled("quiet").count >= 5 }
            #expect(LogStore.shared.labelled("quiet").map(\.level) == [.info, .notice, .warning, .error, .critical])
        }
    }

    @Test func `What was logged before the link was up comes first`() async throws {
        try await withContexts {
            $0.agentSetup = EarlySetup.self
        } _: { _, context in
            try await context.call(LogMany(label: "early", count: 2))
            await eventually { LogStore.shared.labelled("early").count == 1002 }
            // More than can wait are counted.
            #expect(LogStore.shared.labelled("early").map(\.message) == (0..<1000).map { "early \($0)" } + ["0", "1"])
            let note = LogStore.shared.labelled("martlet").first { $0.metadata["dropped"] == "500" }
            #expect(note?.metadata["context"] == "\(context.route)")
        }
    }

    @Test func `With no level nothing is sent`() async throws {
        try await withContexts {
            $0.logLevel = nil
        } _: { _, context in
            try await context.call(LogEach(label: "none", text: ""))
            await context.close()
            #expect(LogStore.shared.labelled("none").isEmpty)
        }
    }

    @Test func `What is too large is cut, and what follows comes`() async throws {
        try await withContexts { _, context in
            try await context.call(LogLarge(label: "large"))
            await eventually { LogStore.shared.labelled("large").last?.message == "after" }
            let entries = LogStore.shared.labelled("large")
            #expect(entries.count == 4)
            #expect(entries[0].message.utf8.count < 20_000)
            #expect(entries[1].metadata["martlet"] != nil)
        }
    }

    @Test func `A flood stops at a slow reader: its memory stays, calls go on, and the number lost is told`()
        async throws
    {
        try await withContexts { _, context in
            let before = LogStore.shared.labelled("martlet").count
            let flood = Task { try await context.call(LogMany(label: "flood", count: 300_000)) }
            LogStore.shared.isHeld.store(true, ordering: .relaxed)
            defer { LogStore.shared.isHeld.store(false, ordering: .relaxed) }
            for _ in 0..<20 { _ = try await context.ping(deadline: .seconds(10)) }
            try await flood.value
            LogStore.shared.isHeld.store(false, ordering: .relaxed)
            func dropped() -> Int {
                LogStore.shared.labelled("martlet").dropFirst(before).compactMap { $0.metadata["dropped"] }
                    .compactMap { Int("\($0)") }.reduce(0, +)
            }
            await eventually(within: .seconds(30)) {
                dropped() > 0 && LogStore.shared.labelled("flood").count + dropped() >= 300_000
            }
            #expect(LogStore.shared.labelled("flood").count + dropped() == 300_000)
            let numbers = LogStore.shared.labelled("flood").compactMap { Int($0.message) }
            #expect(numbers == numbers.sorted())
        }
    }

    @Test func `The failure of a posted task is logged`() async throws {
        try await withContexts { _, context in
            try await context.post(FailQuietly(text: "quietly"))
            await eventually {
                LogStore.shared.labelled("martlet").contains { $0.level == .error && $0.message.contains("quietly") }
            }
        }
    }
}
