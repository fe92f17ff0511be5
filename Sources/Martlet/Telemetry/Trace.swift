import Instrumentation
import ServiceContextModule
import Tracing

/// How the `ServiceContext` of a caller gets to where its task runs.
enum Trace {
    private struct Fields: Injector, Extractor {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }

    /// What the running task's context says to the far side; `nil` if it has none: then nothing is done or sent.
    static func outgoing() -> [String: String]? {
        guard let context = ServiceContext.current else { return nil }
        var carrier: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &carrier, using: Fields())
        return carrier.isEmpty ? nil : carrier
    }

    /// The context that came with a call; `nil` if none did.
    static func incoming(_ carrier: [String: String]?) -> ServiceContext? {
        guard let carrier else { return nil }
        var context = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(carrier, into: &context, using: Fields())
        return context
    }
}
