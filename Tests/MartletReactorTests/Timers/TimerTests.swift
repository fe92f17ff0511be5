import MartletTestKit
import Synchronization
import Testing

@testable import MartletReactor

@Suite("Timers of the reactor", .nothingLeft, .timeLimit(.minutes(1)))
struct TimerTests {
    @Test func `Timers fire in order and not before their time`() async throws {
        try await withReactor { reactor in
            let fired = Mutex<[(number: Int, late: Int64)]>([])
            let start = Reactor.now
            for number in (0..<50).shuffled() {
                let deadline = start + 5_000_000 + UInt64(number) * 200_000
                reactor.schedule(at: deadline) {
                    fired.withLock { $0.append((number, Int64(Reactor.now) - Int64(deadline))) }
                }
            }
            await eventually { fired.withLock { $0.count } == 50 }
            let all = fired.withLock { $0 }
            #expect(all.map(\.number) == Array(0..<50))
            #expect(all.allSatisfy { $0.late >= 0 })
        }
    }

    @Test func `A cancelled timer does not fire, and is cancelled once`() async throws {
        try await withReactor { reactor in
            let (wrong, right) = (Flag(), Flag())
            let timer = reactor.schedule(at: Reactor.now + 20_000_000) { wrong.set() }
            reactor.schedule(at: Reactor.now + 30_000_000) { right.set() }
            #expect(reactor.cancel(timer))
            #expect(!reactor.cancel(timer))
            await eventually { right.isSet }
            #expect(!wrong.isSet)
        }
    }

    @Test func `An earlier timer from another thread wakes the poller`() async throws {
        try await withReactor { reactor in
            reactor.schedule(at: Reactor.now + 3_600_000_000_000) {}
            await eventually { reactor.withState { $0.isPollerAsleep } }
            let fired = Flag()
            reactor.schedule(at: Reactor.now + 1_000_000) { fired.set() }
            await eventually { fired.isSet }
        }
    }

    @Test func `A timer may set and cancel timers, and what its action held may do so too`() async throws {
        final class Holder: Sendable {
            let reactor: Reactor
            let done: Flag
            init(_ reactor: Reactor, _ done: Flag) {
                self.reactor = reactor
                self.done = done
            }
            deinit {
                reactor.cancel(reactor.schedule(at: .max) {})
                done.set()
            }
        }
        try await withReactor { reactor in
            let (fired, cancelled) = (Flag(), Flag())
            let chain = Counter()
            @Sendable func next() {
                chain.add()
                if chain.count < 100 { reactor.schedule(at: Reactor.now) { next() } }
            }
            reactor.schedule(at: Reactor.now) { next() }
            do {
                let holder = Holder(reactor, fired)
                reactor.schedule(at: Reactor.now) { withExtendedLifetime(holder) {} }
            }
            let timer = {
                let holder = Holder(reactor, cancelled)
                return reactor.schedule(at: .max) { withExtendedLifetime(holder) {} }
            }()
            reactor.cancel(timer)
            #expect(cancelled.isSet)
            await eventually { fired.isSet && chain.count == 100 }
        }
    }
}
