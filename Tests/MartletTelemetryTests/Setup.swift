import Glibc
import InMemoryTracing
import Instrumentation
import Logging
import Martlet
import MartletTelemetry
import MartletTestKit
import Metrics
import MetricsTestKit
import ServiceContextModule
import Synchronization
import Testing
import Tracing

/// What arrived at this process's logging system.
final class LogStore: Sendable {
    struct Entry: Sendable {
        var label: String
        var level: Logger.Level
        var message: String
        var metadata: Logger.Metadata
        var source: String
        var function: String
        var line: UInt
    }

    static let shared = LogStore()
    private let entries = Mutex<[Entry]>([])
    /// While it is set, handlers wait.
    let isHeld = Atomic(false)

    var all: [Entry] { entries.withLock { $0 } }
    func labelled(_ label: String) -> [Entry] { all.filter { $0.label == label } }
    func add(_ entry: Entry) {
        while isHeld.load(ordering: .relaxed) { usleep(1000) }
        entries.withLock { $0.append(entry) }
    }
}

private struct StoringHandler: LogHandler {
    var label: String
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        LogStore.shared.add(
            .init(
                label: label, level: event.level, message: "\(event.message)",
                metadata: metadata.merging(event.metadata ?? [:]) { $1 }, source: event.source,
                function: event.function, line: event.line))
    }
}

/// One process has one logging system, one tracer and one metrics system: they are bootstrapped once for all suites.
enum Systems {
    static let tracer = InMemoryTracer()
    static let metrics = TestMetrics()
    static let isReady: Bool = {
        LoggingSystem.bootstrap { StoringHandler(label: $0, logLevel: $0.hasPrefix("loud") ? .trace : .info) }
        InstrumentationSystem.bootstrap(tracer)
        MetricsSystem.bootstrap(metrics)
        return true
    }()
}

/// In contexts: the tracer that carries and reads the same fields.
enum TraceSetup: AgentSetup {
    static func setUp() { InstrumentationSystem.bootstrap(InMemoryTracer()) }
}

/// Logs before there is a link, more than can wait.
enum EarlySetup: AgentSetup {
    static func setUp() {
        let logger = Logger(label: "early")
        for number in 0..<1500 { logger.info("early \(number)") }
    }
}

func withContexts(
    _ change: (inout MartletOptions) -> Void = { _ in },
    _ body: @Sendable (Controller, Context) async throws -> Void
) async throws {
    #expect(Systems.isReady)
    var options = MartletOptions()
    options.onOutput = { _ in }
    options.instrument = Telemetry()
    change(&options)
    try await withMartlet(options) { martlet in try await body(martlet, try await martlet.connect(.local)) }
}
