/// What wants to know of the connects and calls of a scope, and has something to say to the far side of each call: a tracer,
/// meters. See ``MartletOptions/instrument``; the module `MartletTelemetry` has one for swift-distributed-tracing and
/// swift-metrics.
///
/// The type must be found by its name in contexts, as tasks are.
public protocol ContextInstrument: Sendable {
    /// What goes with a call to its far side; `nil` for nothing. At most 32 KiB in all.
    static func outgoing() -> [String: String]?

    /// Makes a call: calls `body` once and returns or throws what it does.
    nonisolated(nonsending) func call<R>(
        _ task: Any.Type, _ route: Route, _ body: nonisolated(nonsending) () async throws -> R
    ) async throws -> R

    /// Makes a connect: calls `body` once, with what wants to know how long each phase took.
    func connect<R>(
        _ route: Route,
        _ onPhase: @escaping @Sendable (ConnectPhase, Duration) -> Void,
        _ body: (@escaping @Sendable (ConnectPhase, Duration) -> Void) async throws -> R
    ) async throws -> R

    /// A context was lost: its link ended, and nobody here had asked for that.
    func contextLost(_ route: Route)

    /// In a context: runs a task with what ``outgoing()`` of the caller gave.
    nonisolated(nonsending) static func within<R>(
        _ carrier: [String: String], _ body: nonisolated(nonsending) () async -> R
    ) async -> R
}

extension ContextRuntime {
    /// Makes a connect with whatever the program wants to know of it.
    func observingConnect<R>(
        _ route: Route,
        _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?,
        _ body: (@escaping @Sendable (ConnectPhase, Duration) -> Void) async throws -> R
    ) async throws -> R {
        let onPhase = onPhase ?? { _, _ in }
        guard let instrument = configuration.instrument else { return try await body(onPhase) }
        return try await instrument.connect(route, onPhase, body)
    }
}
