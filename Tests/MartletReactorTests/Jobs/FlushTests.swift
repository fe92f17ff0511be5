import MartletReactor
import MartletTestKit
import Synchronization
import Testing

@Suite("Coalesced writes", .nothingLeft, .timeLimit(.minutes(1)))
struct FlushTests {
    final class Target: Flushable {
        let flushes = Counter()
        func flush() { flushes.add() }
    }

    @Test func `A foreign thread writes at once`() async throws {
        try await withReactor { reactor in
            #expect(!reactor.flushSoon(Target()))
        }
    }

    @Test func `What a timer or a handler puts off is written when the burst is over`() async throws {
        try await withReactor { reactor in
            let target = Target()
            let (before, accepted) = (Counter(), Flag())
            reactor.schedule(at: Reactor.now) {
                if reactor.flushSoon(target) { accepted.set() }
                before.add(target.flushes.count)
            }
            await eventually { target.flushes.count == 1 }
            #expect(accepted.isSet)
            #expect(before.count == 0)
        }
    }

    @Test func `A burst of jobs is written with few calls`() async throws {
        try await withReactor { reactor in
            let target = Batch()
            await withTaskExecutorPreference(reactor) {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<1000 { group.addTask { target.add(reactor) } }
                }
            }
            await eventually { target.written.count == 1000 }
            #expect(target.flushes.count <= 200)
        }
    }

    /// As a link does: gathers, and asks once until it is flushed.
    final class Batch: Flushable {
        let written = Counter()
        let flushes = Counter()
        private let waiting = Mutex(0)

        func add(_ reactor: Reactor) {
            let isFirst = waiting.withLock { waiting in
                waiting += 1
                return waiting == 1
            }
            if isFirst, !reactor.flushSoon(self) { flush() }
        }

        func flush() {
            flushes.add()
            written.add(
                waiting.withLock { waiting in
                    defer { waiting = 0 }
                    return waiting
                })
        }
    }
}
