import InMemoryTracing
import Martlet
import MartletTestKit
import MetricsTestKit
import ServiceContextModule
import Testing
import Tracing

/// What the running task's context carries.
struct ReadTrace: RemoteTask {
    var below: Int
    func run(in context: RemoteContext) async throws -> [String] {
        let own = ServiceContext.current?.inMemorySpanContext?.traceID ?? "none"
        guard below > 0 else { return [own] }
        let child = try await context.connect(.local)
        let others = try await child.call(ReadTrace(below: below - 1))
        await child.close()
        return [own] + others
    }
}

struct FailOnce: RemoteTask {
    func run(in context: RemoteContext) async throws { throw MartletError(.taskFailed, "once") }
}

@Suite(.serialized, .leakChecked) struct TraceTests {
    @Test func `The trace goes with a call, over every hop`() async throws {
        try await withContexts {
            $0.agentSetup = TraceSetup.self
        } _: { _, context in
            try await withSpan("test") { span in
                let trace = try #require(span.context.inMemorySpanContext?.traceID)
                #expect(try await context.call(ReadTrace(below: 2)) == [trace, trace, trace])
            }
        }
    }

    @Test func `A context that was detached carries the trace on once it is attached again`() async throws {
        try await withContexts {
            $0.agentSetup = TraceSetup.self
        } _: { martlet, context in
            let detached = try await context.detach(lease: .seconds(60))
            let again = try await martlet.attach(detached, through: .local)
            try await withSpan("test") { span in
                let trace = try #require(span.context.inMemorySpanContext?.traceID)
                #expect(try await again.call(ReadTrace(below: 1)) == [trace, trace])
            }
        }
    }

    @Test func `Connects, their phases and calls have spans, with errors`() async throws {
        try await withContexts { _, context in
            try await withSpan("spans of a call") { span in
                _ = try await context.call(ReadTrace(below: 0))
                await #expect(throws: MartletError.self) { try await context.call(FailOnce()) }
                let own = Systems.tracer.finishedSpans.filter {
                    $0.operationName == "martlet.call"
                        && $0.spanContext.traceID == span.context.inMemorySpanContext?.traceID
                }
                #expect(own.count == 2)
                #expect(own.map { $0.errors.isEmpty } == [true, false])
                #expect(own.allSatisfy { $0.spanContext.parentSpanID == span.context.inMemorySpanContext?.spanID })
                #expect(
                    own.allSatisfy {
                        $0.attributes["martlet.route"]?.toSpanAttribute() == "\(context.route)".toSpanAttribute()
                    })
            }
            let connects = Systems.tracer.finishedSpans.filter { $0.operationName == "martlet.connect" }
            let connect = try #require(connects.last)
            let phases = Systems.tracer.finishedSpans.filter {
                $0.spanContext.parentSpanID == connect.spanContext.spanID
            }
            #expect(phases.contains { $0.operationName == "martlet.handshake" })
        }
    }

    @Test func `Connects and calls are counted`() async throws {
        func value(_ label: String) -> Int64 {
            ((try? Systems.metrics.expectCounter(label))?.values ?? []).reduce(0, +)
        }
        let before = (
            value("martlet_calls_total"), value("martlet_calls_failed_total"), value("martlet_connects_total")
        )
        try await withContexts { _, context in
            for _ in 0..<3 { _ = try await context.call(ReadTrace(below: 0)) }
            try? await context.call(FailOnce())
        }
        #expect(value("martlet_calls_total") - before.0 == 3)
        #expect(value("martlet_calls_failed_total") - before.1 == 1)
        #expect(value("martlet_connects_total") - before.2 == 1)
        #expect(try Systems.metrics.expectTimer("martlet_call_seconds").values.count >= 4)
    }
}
