import CMartlet
import DequeModule

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Reactor {
    /// How many jobs run before descriptors are looked at again, and before coalesced writes go out.
    private static var jobsPerPoll: Int { 64 }
    private static var jobsPerFlush: Int { 32 }
    /// A thread without work ends after this time, in nanoseconds, unless it is the last.
    private static var idleLimit: UInt64 { 5_000_000_000 }
    private static var monitorInterval: UInt64 { 1_000_000 }
    /// The monitor sleeps after so many intervals without anything to watch.
    private static var idleIntervals: Int { 50 }
    /// Lazily touched address space, not memory.
    private static var stackSize: Int { 2 * 1024 * 1024 }

    // MARK: Threads

    /// Starts one more thread of the pool. Called with the lock held.
    func startThread() {
        state.threads += 1
        if !Self.start({ [self] in runThread(isLast: false) }) { state.threads -= 1 }
    }

    /// Makes the calling thread one of the pool, for ever: an agent's main thread has nothing else to do.
    package func runForever() -> Never {
        lock.lock()
        state.threads += 1
        lock.unlock()
        while true { runThread(isLast: true) }
    }

    private static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackSize)
        let box = Unmanaged.passRetained(Box(body))
        // Signals are for the process's own threads: none of ours is interrupted.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        #if canImport(Darwin)
        var thread: pthread_t?
        #else
        var thread = pthread_t()
        #endif
        let error = pthread_create(&thread, &attributes, { argument in
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
        if error != 0 { box.release() }
        return error == 0
    }

    private func runThread(isLast: Bool) {
        martlet_set_thread_mark(ownMark)
        lock.lock()
        // With as many threads as there may be, the newest takes no jobs: somebody must always be there to poll.
        let takesJobs = state.threads < maximumThreads
        var sincePoll = 0
        var sinceFlush = 0
        while !state.isStopping {
            if !state.dirty.isEmpty, sinceFlush >= Self.jobsPerFlush || state.jobs.isEmpty {
                sinceFlush = 0
                flushDirty()
            } else if takesJobs, sincePoll < Self.jobsPerPoll || state.isPolling, let job = state.jobs.popFirst() {
                sincePoll += 1
                sinceFlush += 1
                run(job)
            } else if !state.isPolling {
                sincePoll = 0
                poll(mayRunJobs: takesJobs)
            } else if !park(), !isLast {
                break
            }
        }
        state.threads -= 1
        if state.threads == 0 { stopped.broadcast() }
        lock.unlock()
        martlet_set_thread_mark(0)
    }

    private func run(_ job: UnownedJob) {
        state.running += 1
        if !state.isPolling || !state.jobs.isEmpty { watch() }
        lock.unlock()
        job.runSynchronously(on: asUnownedTaskExecutor())
        lock.lock()
        state.running -= 1
        state.progress &+= 1
    }

    private func flushDirty() {
        let dirty = state.dirty
        state.dirty.removeAll(keepingCapacity: true)
        lock.unlock()
        for target in dirty { target.flush() }
        lock.lock()
    }

    /// - Returns: `false` if nothing came for long and there are others.
    private func park() -> Bool {
        state.parked += 1
        defer { state.parked -= 1 }
        return lock.wait(for: work, nanoseconds: Self.idleLimit) || state.threads == 1
    }

    // MARK: Polling

    /// Waits for events unless there are jobs, and tells their handlers. Called with the lock held.
    private func poll(mayRunJobs: Bool) {
        state.isPolling = true
        var timeout: Int64 = 0
        if state.jobs.isEmpty || !mayRunJobs, state.dirty.isEmpty {
            let deadline = state.timers.nextDeadline()
            state.pollerWakesAt = deadline ?? .max
            timeout = deadline.map { Int64(clamping: $0 &- min($0, Self.now)) } ?? -1
            state.isPollerAsleep = timeout != 0
        }
        lock.unlock()
        let events = UnsafeMutablePointer<martlet_event>.allocate(capacity: Int(MARTLET_EVENTS))
        defer { events.deallocate() }
        let count = martlet_poller_wait(poller, events, timeout)
        lock.lock()
        state.isPollerAsleep = false
        state.isDispatching = true
        for index in 0..<max(0, Int(count)) {
            let event = events[index]
            if event.token == SourceTable.wakeToken {
                var value: UInt64 = 0
                _ = read(wakeDescriptor, &value, 8)
            } else if let handler = state.sources.handler(of: event.token) {
                lock.unlock()
                handler.ready(Readiness(rawValue: UInt8(truncatingIfNeeded: event.events)))
                lock.lock()
            }
        }
        if state.timers.count > 0 {
            let now = Self.now
            while let action = state.timers.popDue(now: now) {
                lock.unlock()
                action()
                lock.lock()
            }
        }
        state.isDispatching = false
        state.isPolling = false
        state.progress &+= 1
        for descriptor in state.closing { close(descriptor) }
        state.closing.removeAll(keepingCapacity: true)
        if !state.dirty.isEmpty { flushDirty() }
    }

    // MARK: The monitor

    /// Has the monitor look after the pool from now on. Called with the lock held.
    private func watch() {
        if !state.hasMonitor {
            state.hasMonitor = Self.start { [self] in runMonitor() }
        } else if state.isMonitorAsleep {
            state.isMonitorAsleep = false
            monitorWork.signal()
        }
    }

    private func runMonitor() {
        lock.lock()
        var lastProgress = state.progress
        var idle = 0
        while !state.isStopping {
            if idle >= Self.idleIntervals {
                state.isMonitorAsleep = true
                while state.isMonitorAsleep, !state.isStopping { lock.wait(for: monitorWork) }
                idle = 0
            }
            lock.wait(for: monitorWork, nanoseconds: Self.monitorInterval)
            let isStuck = state.running > 0 && state.progress == lastProgress
            let isBehind = !state.jobs.isEmpty && (isStuck || state.running < processors)
            if isBehind || (isStuck && !state.isPolling) {
                if state.parked > 0 {
                    work.signal()
                } else if state.threads < maximumThreads {
                    startThread()
                }
            }
            idle = state.progress == lastProgress && !isStuck ? idle + 1 : 0
            if isStuck, state.isPolling, state.jobs.isEmpty { idle = Self.idleIntervals }
            lastProgress = state.progress
        }
        state.hasMonitor = false
        stopped.broadcast()
        lock.unlock()
    }
}
