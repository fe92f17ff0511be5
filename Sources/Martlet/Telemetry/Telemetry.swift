import CoreMetrics
import Instrumentation
import MartletReactor
import ServiceContextModule
import Tracing

extension ContextRuntime {
    /// Makes a connect with whatever the program wants to know of it.
    func observingConnect<R>(
        _ route: Route,
        _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?,
        _ body: (@escaping @Sendable (ConnectPhase, Duration) -> Void) async throws -> R
    ) async throws -> R {
        let onPhase = onPhase ?? { _, _ in }
        guard let telemetry else { return try await body(onPhase) }
        return try await telemetry.connect(route, onPhase, body)
    }
}

/// What a scope tells of itself through swift-distributed-tracing and swift-metrics, if the program has bootstrapped any
/// of them before the scope began; else there is no object of this type, and nothing is paid.
final class Telemetry: Sendable {
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

    init?() {
        isTraced = !(InstrumentationSystem.tracer is NoOpTracer)
        meters = MetricsSystem.factory is NOOPMetricsHandler ? nil : Meters()
        if !isTraced, meters == nil { return nil }
    }

    /// Measures a call and puts a span around it.
    nonisolated(nonsending) func call<R>(
        _ task: Any.Type, _ route: Route, _ body: nonisolated(nonsending) () async throws -> R
    ) async throws -> R {
        let start = Reactor.now
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
    func connect<R>(
        _ route: Route,
        _ onPhase: @escaping @Sendable (ConnectPhase, Duration) -> Void,
        _ body: (@escaping @Sendable (ConnectPhase, Duration) -> Void) async throws -> R
    ) async throws -> R {
        let start = Reactor.now
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

    func contextLost() { meters?.lost.increment() }

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
            span.setStatus(SpanStatus(code: .error, message: ErrorText.of(error)))
        }
        span.end()
    }

    private func count(_ counter: Counter?, _ timer: Timer?, since start: UInt64) {
        counter?.increment()
        timer?.recordNanoseconds(Int64(Reactor.now - start))
    }
}
