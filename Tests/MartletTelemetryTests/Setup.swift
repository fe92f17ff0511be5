import InMemoryTracing
import Instrumentation
import Logging
import Martlet
import MartletTelemetry
import MartletTestKit
import MartletTestSupport
import Metrics
import MetricsTestKit
import ServiceContextModule
import Testing
import Tracing

/// One process has one logging system, one tracer and one metrics system: they are bootstrapped once for all suites.
enum Systems {
    static let tracer = InMemoryTracer()
    static let metrics = TestMetrics()
    static let isReady: Bool = {
        _ = LogStore.shared
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
