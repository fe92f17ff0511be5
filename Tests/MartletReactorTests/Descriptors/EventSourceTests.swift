import Glibc
import MartletTestKit
import Synchronization
import Testing

@testable import MartletReactor

@Suite("Watched descriptors", .nothingLeft, .timeLimit(.minutes(2)))
struct EventSourceTests {
    @Test func `A waiting task goes on on the thread that found its bytes`() async throws {
        try await withReactor { reactor in
            let (there, back) = (try Pipe(), try Pipe())
            let (left, right) = (End(back.readEnd, reactor), End(there.readEnd, reactor))
            try left.start()
            try right.start()
            let rounds = 2000
            let echo = Task(executorPreference: reactor) {
                for _ in 0..<rounds {
                    await right.next()
                    writeByte(back.writeEnd)
                }
            }
            let hops = await Task(executorPreference: reactor) {
                var hops = 0
                for _ in 0..<rounds {
                    writeByte(there.writeEnd)
                    if await left.next() != UInt(pthread_self()) { hops += 1 }
                }
                return hops
            }.value
            await echo.value
            #expect(hops < rounds / 20)
            left.source.close()
            right.source.close()
            closeDescriptor(there.writeEnd)
            closeDescriptor(back.writeEnd)
        }
    }

    /// Reads bytes and resumes the task that waits for one, with the thread that read it.
    final class End: EventHandler {
        let source: EventSource
        private struct State {
            var waiting: CheckedContinuation<UInt, Never>?
            var thread: UInt?
        }
        private let state = Mutex(State())

        init(_ descriptor: Int32, _ reactor: Reactor) { source = EventSource(descriptor, reactor: reactor) }
        func start() throws { try source.watch(for: .readable, self) }

        func ready(_ readiness: Readiness) {
            guard readByte(source.descriptor) == 1 else { return }
            let thread = UInt(pthread_self())
            let waiting = state.withLock { state in
                defer { state.waiting = nil }
                if state.waiting == nil { state.thread = thread }
                return state.waiting
            }
            waiting?.resume(returning: thread)
        }

        @discardableResult
        func next() async -> UInt {
            await withCheckedContinuation { continuation in
                let thread = state.withLock { state -> UInt? in
                    defer { state.thread = nil }
                    if state.thread == nil { state.waiting = continuation }
                    return state.thread
                }
                if let thread { continuation.resume(returning: thread) }
            }
        }
    }

    @Test func `A handler may close its own descriptor and those of others`() async throws {
        try await withReactor { reactor in
            let (first, second) = (try Pipe(), try Pipe())
            let sources = [first, second].map { EventSource($0.readEnd, reactor: reactor) }
            let calls = Counter()
            // Both are ready at once, so both are in one batch of events: the first that is told closes the other.
            writeByte(first.writeEnd)
            writeByte(second.writeEnd)
            let handler = Handler { _ in
                calls.add()
                for source in sources { source.close() }
            }
            let done = Flag()
            reactor.schedule(at: Reactor.now) {
                for source in sources { try? source.watch(for: .readable, handler) }
            }
            reactor.schedule(at: Reactor.now + 20_000_000) { done.set() }
            await eventually { done.isSet }
            #expect(calls.count == 1)
            #expect(fcntl(first.readEnd, F_GETFD) == -1 || fcntl(second.readEnd, F_GETFD) == -1)
            closeDescriptor(first.writeEnd)
            closeDescriptor(second.writeEnd)
        }
    }

    @Test func `What a handler held may use the reactor when it goes with its descriptor`() async throws {
        final class Owner: EventHandler {
            let other: EventSource
            let gone: Flag
            init(_ other: EventSource, _ gone: Flag) {
                self.other = other
                self.gone = gone
            }
            func ready(_ readiness: Readiness) {}
            deinit {
                other.close()
                gone.set()
            }
        }
        try await withReactor { reactor in
            let (first, second) = (try Pipe(), try Pipe())
            let gone = Flag()
            let source = EventSource(first.readEnd, reactor: reactor)
            try source.watch(for: .readable, Owner(EventSource(second.readEnd, reactor: reactor), gone))
            source.close()
            #expect(gone.isSet)
            closeDescriptor(first.writeEnd)
            closeDescriptor(second.writeEnd)
        }
    }

    @Test func `What is watched for can be changed and stopped`() async throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        try await withReactor { [ends] reactor in
            let seen = Mutex<[Readiness]>([])
            let source = EventSource(ends[0], reactor: reactor)
            let handler = Handler { readiness in seen.withLock { $0.append(readiness) } }
            try source.watch(for: .readable, handler)
            try source.watch(for: .writable, handler)
            await eventually { seen.withLock { $0.contains(.writable) } }
            try source.watch(for: .readable, handler)
            writeByte(ends[1])
            await eventually { seen.withLock { $0.last == .readable } }
            try source.watch(for: [], handler)
            let passed = Flag()
            reactor.schedule(at: Reactor.now + 1_000_000) { seen.withLock { $0.removeAll() } }
            reactor.schedule(at: Reactor.now + 10_000_000) { passed.set() }
            await eventually { passed.isSet }
            #expect(seen.withLock { $0.isEmpty })
            try source.watch(for: .readable, handler)
            await eventually { seen.withLock { $0.last == .readable } }
            source.close()
            source.close()
            try source.watch(for: .readable, handler)
            closeDescriptor(ends[1])
        }
    }

    @Test func `A regular file cannot be watched`() async throws {
        try await withReactor { reactor in
            let source = EventSource(open("/proc/self/exe", O_RDONLY), reactor: reactor)
            let error = #expect(throws: SystemError.self) { try source.watch(for: .readable, Handler { _ in }) }
            #expect(error?.errno == EPERM)
            source.close()
        }
    }

    @Test func `The end of a pipe is told with what was written before`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let closed = Flag()
            let source = EventSource(pipe.readEnd, reactor: reactor)
            writeByte(pipe.writeEnd)
            closeDescriptor(pipe.writeEnd)
            try source.watch(
                for: .readable,
                Handler { [weak source] readiness in
                    if readiness.contains([.readable, .closed]) { closed.set() }
                    source?.close()
                })
            await eventually { closed.isSet }
        }
    }

    @Test func `A descriptor's number that is used again never gets an old event`() async throws {
        try await withReactor { reactor in
            let wrong = Counter()
            let (told, foreign) = (Counter(), Task(executorPreference: reactor) {})
            await foreign.value
            // Two tasks open and close, so that the numbers wander between them while events are under way.
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        for round in 0..<2000 {
                            guard let pipe = try? Pipe() else { continue }
                            let source = EventSource(pipe.readEnd, reactor: reactor)
                            let hasByte = round % 2 == 0
                            let isClosed = Flag()
                            let handler = Handler { _ in
                                told.add()
                                // Only a pipe with a byte in it, and not yet closed, can be ready.
                                if !hasByte, !isClosed.isSet { wrong.add() }
                            }
                            try? source.watch(for: .readable, handler)
                            if hasByte { writeByte(pipe.writeEnd) }
                            if round % 7 == 0 { await Task.yield() }
                            isClosed.set()
                            source.close()
                            closeDescriptor(pipe.writeEnd)
                        }
                    }
                }
            }
            #expect(wrong.count == 0)
            #expect(told.count > 0)
        }
    }
}
