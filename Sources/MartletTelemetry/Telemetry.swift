import CoreMetrics
import Instrumentation
public import Martlet
import ServiceContextModule
import Tracing

/// Tells of a scope's connects and calls through swift-distributed-tracing and swift-metrics, and carries the
/// `ServiceContext` of each call to where its task runs.
///
///     options.instrument = Telemetry()
///     options.agentSetup = MySetup.self   // bootstraps the tracer there: main does not run in contexts
///
/// Spans: `martlet.connect` with one for each phase (`martlet.reach`, `martlet.authenticate`, `martlet.bootstrap`,
/// `martlet.handshake`), `martlet.call`; attributes `martlet.route`, `martlet.task`. Counters: `martlet_calls_total`,
/// `martlet_calls_failed_total`, `martlet_connects_total`, `martlet_connects_failed_total`,
/// `martlet_contexts_lost_total`. Timers: `martlet_call_seconds`, `martlet_connect_seconds`.
public struct Telemetry: ContextInstrument {
    private let isTraced: Bool
    private let meters: Meters?

    private struct Meters: Sendable {
        let calls = Counter(label: "martlet_calls_total")
        let failedCalls = Counter(label: "martlet_calls_failed_total")
        let callTime = Timer(label: "martlet_call_seconds")
        let connects = Counter(label: "martlet_connects_total")
        let failedConnects = Counter(label: "martlet_connects_failed_total")
        let connectTime = Timer(label: "martlet_connect_seconds")
        let lost = Counter(label: "martlet_contexts_lost_total")
    }

    /// Uses what the program has bootstrapped by now; what it has not bootstrapped costs nothing.
    public init() {
        isTraced = !(InstrumentationSystem.tracer is NoOpTracer)
        meters = MetricsSystem.factory is NOOPMetricsHandler ? nil : Meters()
    }

    // MARK: ContextInstrument

    private struct Fields: Injector, Extractor {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }

    /// What the tracer writes for the running task's `ServiceContext`; nothing if there is none.
    public static func outgoing() -> [String: String]? {
        guard let context = ServiceContext.current else { return nil }
        var carrier: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &carrier, using: Fields())
        return carrier.isEmpty ? nil : carrier
    }

    /// Runs the task in the `ServiceContext` that the tracer there reads.
    public nonisolated(nonsending) static func within<R>(
        _ carrier: [String: String], _ body: nonisolated(nonsending) () async -> R
    ) async -> R {
        var context = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(carrier, into: &context, using: Fields())
        return await ServiceContext.$current.withValue(context, operation: body)
    }

    /// Measures a call and puts a span around it.
    public nonisolated(nonsending) func call<R>(
        _ task: Any.Type, _ route: Route, _ body: nonisolated(nonsending) () async throws -> R
    ) async throws -> R {
        let start = ContinuousClock.now
        let span = startSpan("martlet.call", route)
        span?.attributes["martlet.task"] = "\(task)"
        do {
            let result = try await within(span, body)
            finish(span, nil)
            count(meters?.calls, meters?.callTime, since: start)
            return result
        } catch {
            finish(span, error)
            count(meters?.failedCalls, meters?.callTime, since: start)
            throw error
        }
    }

    /// Measures a connect and puts a span around it, and one around each phase of it.
    public func connect<R>(
        _ route: Route,
        _ onPhase: @escaping @Sendable (ConnectPhase, Duration) -> Void,
        _ body: (@escaping @Sendable (ConnectPhase, Duration) -> Void) async throws -> R
    ) async throws -> R {
        let start = ContinuousClock.now
        let span = startSpan("martlet.connect", route)
        do {
            let result = try await within(span) {
                try await body { phase, duration in
                    if let span { Self.addPhase(phase, duration, to: span) }
                    onPhase(phase, duration)
                }
            }
            finish(span, nil)
            count(meters?.connects, meters?.connectTime, since: start)
            return result
        } catch {
            finish(span, error)
            count(meters?.failedConnects, meters?.connectTime, since: start)
            throw error
        }
    }

    /// Counts it.
    public func contextLost(_ route: Route) { meters?.lost.increment() }

    // MARK: Parts

    private func startSpan(_ name: String, _ route: Route) -> (any Span)? {
        guard isTraced else { return nil }
        let span = InstrumentationSystem.tracer.startSpan(name, ofKind: .client)
        span.attributes["martlet.route"] = "\(route)"
        return span
    }

    /// A phase is known when it is over: its span is made then, for the time that it took.
    private static func addPhase(_ phase: ConnectPhase, _ duration: Duration, to span: any Span) {
        let end = DefaultTracerClock.now.nanosecondsSinceEpoch
        let (seconds, attoseconds) = duration.components
        let length = UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
        let part = InstrumentationSystem.tracer.startSpan(
            "martlet.\(phase == .boot ? "bootstrap" : phase.rawValue)",
            context: span.context, ofKind: .internal,
            at: DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: end - min(end, length)))
        part.end(at: DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: end))
    }

    private nonisolated(nonsending) func within<R>(
        _ span: (any Span)?, _ body: nonisolated(nonsending) () async throws -> R
    ) async throws -> R {
        guard let span else { return try await body() }
        return try await ServiceContext.$current.withValue(span.context, operation: body)
    }

    private func finish(_ span: (any Span)?, _ error: (any Error)?) {
        guard let span else { return }
        if let error {
            span.recordError(error)
            span.setStatus(SpanStatus(code: .error, message: "\(error)"))
        }
        span.end()
    }

    private func count(_ counter: Counter?, _ timer: Timer?, since start: ContinuousClock.Instant) {
        counter?.increment()
        guard let timer else { return }
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        timer.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
