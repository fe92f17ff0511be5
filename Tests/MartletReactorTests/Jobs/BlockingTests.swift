import CMartlet
import Glibc
import MartletTestKit
import Synchronization
import Testing

@testable import MartletReactor

@Suite("Blocking jobs", .nothingLeft, .timeLimit(.minutes(2)))
struct BlockingTests {
    @Test func `A job that never yields stops neither timers nor events nor other jobs`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let (timer, event, job) = (Flag(), Flag(), Flag())
            let source = EventSource(pipe.readEnd, reactor: reactor)
            try source.watch(
                for: .readable,
                Handler { [descriptor = source.descriptor] _ in
                    readByte(descriptor)
                    event.set()
                })
            async let blocked: [Bool] = withTaskExecutorPreference(reactor) {
                reactor.schedule(at: Reactor.now + 1_000_000) { timer.set() }
                writeByte(pipe.writeEnd)
                let child = Task(executorPreference: reactor) { job.set() }
                let all = [timer.spin(), event.spin(), job.spin()]
                await child.value
                return all
            }
            #expect(await blocked == [true, true, true])
            source.close()
            closeDescriptor(pipe.writeEnd)
        }
    }

    @Test func `Another thread takes over from a job that spins within milliseconds`() async throws {
        try await withReactor { reactor in
            var times: [UInt64] = []
            for _ in 0..<20 {
                let took = await withTaskExecutorPreference(reactor) { () -> UInt64 in
                    let flag = Flag()
                    let start = Reactor.now
                    let child = Task(executorPreference: reactor) { flag.set() }
                    #expect(flag.spin())
                    let took = Reactor.now - start
                    await child.value
                    return took
                }
                times.append(took)
            }
            times.sort()
            // About one millisecond on a quiet machine, up to five; this bound is for one that is not.
            #expect(times[10] < 100_000_000, "median of \(times)")
        }
    }

    @Test(arguments: [true, false]) func `A job that waits is told from one that lacks a processor`(
        readsThreadStates: Bool
    ) async throws {
        try await withReactor(readsThreadStates: readsThreadStates) { reactor in
            var times: [UInt64] = []
            for _ in 0..<20 {
                let gate = try Pipe()
                let took = await withTaskExecutorPreference(reactor) { () -> UInt64 in
                    let start = Reactor.now
                    let child = Task(executorPreference: reactor) { closeDescriptor(gate.writeEnd) }
                    readByte(gate.readEnd)
                    let took = Reactor.now - start
                    await child.value
                    return took
                }
                closeDescriptor(gate.readEnd)
                times.append(took)
            }
            times.sort()
            // Two milliseconds on a quiet machine, five without the threads' states.
            #expect(times[10] < 100_000_000, "median of \(times)")
        }
    }

    @Test(.enabled(if: access("/usr/bin/taskset", X_OK) == 0, "needs taskset"))
    func `A thread that lacks a processor is left alone`() async throws {
        // A thread may really wait in the kernel when it is looked at, for a page or a lock. Not every time.
        var tries: [String] = []
        for _ in 0..<6 {
            let (isAlone, what) = try await Self.withoutProcessor()
            if isAlone { return }
            tries.append(what)
        }
        Issue.record("another thread came every time: \(tries)")
    }

    /// - Returns: whether a thread that has jobs but no processor stayed the only one.
    private static func withoutProcessor() async throws -> (Bool, String) {
        let result = Mutex((false, ""))
        try await withReactor { reactor in
            // The reactor's thread shares one processor with others that never stop. The monitor is free to run.
            let stop = Flag()
            let numbers = Mutex<[Int32]>([])
            let ended = Counter()
            await Task(executorPreference: reactor) {
                numbers.withLock { $0.append(martlet_thread_self().number) }
            }.value
            for _ in 0..<3 {
                let isStarted = Reactor.start("rival") {
                    numbers.withLock { $0.append(martlet_thread_self().number) }
                    while !stop.isSet {}
                    ended.add()
                }
                #expect(isStarted)
            }
            await eventually { numbers.withLock { $0.count } == 4 }
            let allowed = try await runProgram(["taskset", "-p", "-c", "\(getpid())"]).output
            let processor = try #require(allowed.split(separator: ": ").last?.prefix { $0.isNumber })
            for number in numbers.withLock({ $0 }) {
                _ = try await runProgram(["taskset", "-p", "-c", "\(processor)", "\(number)"])
            }
            let own = numbers.withLock { $0[0] }
            // How long it was without the processor, at most and how often, until another thread came.
            let (longest, times) = await Task(executorPreference: reactor) { () -> (UInt64, Int) in
                var (longest, times) = (UInt64(0), 0)
                var last = Reactor.now
                let end = last + 2_000_000_000
                while last < end, martlet_thread_self().number == own {
                    await Task.yield()
                    let now = Reactor.now
                    longest = max(longest, now - last)
                    if now - last > 2_000_000 { times += 1 }
                    last = now
                }
                return (longest, times)
            }.value
            stop.set()
            await eventually("the end of the rivals") { ended.count == 3 }
            // On a machine so busy that it had to wait for long, another thread is right.
            let isAlone = times > 10 && (reactor.withState { $0.threads } == 1 || longest > 40_000_000)
            result.withLock { $0 = (isAlone, "\(times) times, \(longest) ns") }
        }
        return result.withLock { $0 }
    }

    @Test func `A job that starts another long after it blocked does not hold that up`() async throws {
        try await withReactor { reactor in
            let isHelped = await withTaskExecutorPreference(reactor) { () -> Bool in
                // Until somebody else polls and the monitor has gone to sleep over it.
                let deadline = Reactor.now + 10_000_000_000
                func isQuiet() -> Bool {
                    reactor.lock.lock()
                    defer { reactor.lock.unlock() }
                    return reactor.state.isMonitorAsleep && reactor.state.isPollerAsleep
                }
                while !isQuiet(), Reactor.now < deadline { usleep(1000) }
                let flag = Flag()
                let child = Task(executorPreference: reactor) { flag.set() }
                let isHelped = flag.spin()
                await child.value
                return isHelped
            }
            #expect(isHelped)
        }
    }

    @Test(arguments: [2, 3, 16]) func `At the limit of the pool timers and events go on`(limit: Int) async throws {
        try await withReactor(maximumThreads: limit, idleLimit: 20_000_000) { reactor in
            let gate = try Pipe()
            let signal = try Pipe()
            let (started, finished) = (Counter(), Counter())
            let source = EventSource(signal.readEnd, reactor: reactor)
            let event = Flag()
            try source.watch(
                for: .readable,
                Handler { [descriptor = source.descriptor] _ in
                    readByte(descriptor)
                    event.set()
                })
            let jobs = (0..<limit + 10).map { _ in
                Task(executorPreference: reactor) {
                    started.add()
                    readByte(gate.readEnd)
                    finished.add()
                }
            }
            await eventually("a pool at its limit") { started.count == limit - 1 }
            let timer = Flag()
            reactor.schedule(at: Reactor.now + 1_000_000) { timer.set() }
            writeByte(signal.writeEnd)
            await eventually("timers and events") { timer.isSet && event.isSet }
            #expect(started.count == limit - 1)
            // Nor does anybody look again and again.
            await eventually("a monitor at rest") { reactor.withState { $0.isMonitorAsleep } }

            closeDescriptor(gate.writeEnd)
            for job in jobs { await job.value }
            #expect(finished.count == limit + 10)
            await eventually("the end of the threads that are not needed") { reactor.withState { $0.threads } == 1 }
            // Whichever thread is left takes jobs again.
            for _ in 0..<10 { await Task(executorPreference: reactor) { finished.add() }.value }
            #expect(finished.count == limit + 20)
            source.close()
            closeDescriptor(gate.readEnd)
            closeDescriptor(signal.writeEnd)
        }
    }

    @Test func `What is put off is written even if every running job blocks`() async throws {
        final class Target: Flushable {
            let flag = Flag()
            func flush() { flag.set() }
        }
        try await withReactor { reactor in
            let target = Target()
            let gate = try Pipe()
            let others = Mutex<[Task<Void, Never>]>([])
            let isFlushed = await Task(executorPreference: reactor) {
                // With jobs in the queue the write is put off; they block as this one does.
                others.withLock { others in
                    others = (0..<3).map { _ in Task(executorPreference: reactor) { readByte(gate.readEnd) } }
                }
                if !reactor.flushSoon(target) { target.flush() }
                return target.flag.spin()
            }.value
            #expect(isFlushed)
            closeDescriptor(gate.writeEnd)
            for task in others.withLock({ $0 }) { await task.value }
            closeDescriptor(gate.readEnd)
        }
    }

    @Test func `Descriptors and timers are served beside short jobs without end`() async throws {
        try await withReactor { reactor in
            let stop = Flag()
            let busy = (0..<4).map { _ in
                Task(executorPreference: reactor) {
                    while !stop.isSet {
                        let until = Reactor.now + 300_000
                        while Reactor.now < until {}
                        await Task.yield()
                    }
                }
            }
            var worst: UInt64 = 0
            for _ in 0..<10 {
                let start = Reactor.now
                let fired = Flag()
                reactor.schedule(at: start + 2_000_000) { fired.set() }
                await eventually("the timer") { fired.isSet }
                worst = max(worst, Reactor.now - start)
            }
            stop.set()
            for task in busy { await task.value }
            #expect(worst < 500_000_000)
        }
    }
}

extension Reactor {
    /// Looks at what only the lock's holder may.
    func withState<Result>(_ body: (State) -> Result) -> Result {
        lock.lock()
        defer { lock.unlock() }
        return body(state)
    }
}
