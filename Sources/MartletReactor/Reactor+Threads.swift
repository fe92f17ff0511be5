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
    /// Lazily touched address space, not memory.
    private static var stackSize: Int { 2 * 1024 * 1024 }

    // MARK: Threads

    /// Starts one more thread of the pool. Called with the lock held.
    func startThread() {
        state.threads += 1
        if !Self.start("reactor", { [self] in runThread(isLast: false) }) { state.threads -= 1 }
        // Without any thread all would wait for ever in silence.
        precondition(state.threads > 0, "martlet: the system allows this process no thread")
    }

    /// Makes the calling thread one of the pool, for ever: an agent's main thread has nothing else to do. `prepare` runs
    /// when the thread counts already, so that what it sets up needs no other.
    package func runForever(_ prepare: () -> Void = {}) -> Never {
        // As on the threads that we start: a write to a pipe without a reader is an error, not the end of the process.
        var brokenPipe = sigset_t()
        sigemptyset(&brokenPipe)
        sigaddset(&brokenPipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &brokenPipe, nil)
        lock.lock()
        state.threads += 1
        lock.unlock()
        martlet_set_thread_mark(ownMark)
        prepare()
        while true { runThread(isLast: true) }
    }

    /// Starts a thread; `name` is what debuggers show, at most 15 bytes.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        final class Box {
            let name: String
            let body: @Sendable () -> Void
            init(_ name: String, _ body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackSize)
        let box = Unmanaged.passRetained(Box(name, body))
        // Signals are for the process's own threads: none of ours is interrupted. Those that a thread brings upon
        // itself stay: without them a crash would go by without its handler, which prints where it was.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        for crash in [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS] { sigdelset(&all, crash) }
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        #if canImport(Darwin)
        var thread: pthread_t?
        #else
        var thread = pthread_t()
        #endif
        let error = pthread_create(
            &thread, &attributes,
            { argument in
                let box = Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
                martlet_name_thread(box.name)
                box.body()
                return nil
            }, box.toOpaque())
        if error != 0 { box.release() }
        return error == 0
    }

    private func runThread(isLast: Bool) {
        martlet_set_thread_mark(ownMark)
        let thread = martlet_thread_self()
        lock.lock()
        let place = state.addWorker(thread)
        var sincePoll = 0
        var sinceFlush = 0
        while !state.isStopping {
            if !state.dirty.isEmpty, sinceFlush >= Self.jobsPerFlush || state.jobs.isEmpty {
                sinceFlush = 0
                flushDirty()
            } else if state.isPolling || (sincePoll < Self.jobsPerPoll && !state.pollIsDue), mayRunJob,
                let job = state.jobs.popFirst()
            {
                sincePoll += 1
                sinceFlush += 1
                run(job, place)
            } else if !state.isPolling {
                sincePoll = 0
                state.workers[place].begin()
                poll()
                state.workers[place].isBusy = false
            } else if !park(), !isLast {
                break
            }
        }
        state.workers[place].isThere = false
        state.threads -= 1
        if state.threads == 0 { stopped.broadcast() }
        lock.unlock()
        martlet_set_thread_mark(0)
    }

    private func run(_ job: UnownedJob, _ place: Int) {
        state.running += 1
        state.workers[place].begin()
        if !state.isPolling || !state.jobs.isEmpty { watch() }
        lock.unlock()
        job.runSynchronously(on: asUnownedTaskExecutor())
        lock.lock()
        state.workers[place].isBusy = false
        state.running -= 1
        state.progress &+= 1
    }

    private func flushDirty() {
        var dirty: [any Flushable] = []
        swap(&dirty, &state.dirty)
        lock.unlock()
        Self.flush(consume dirty)
        lock.lock()
    }

    /// - Returns: `false` if nothing came for long and there are others to do what may come.
    private func park() -> Bool {
        state.parked += 1
        defer {
            state.parked -= 1
            state.calledAt = 0
        }
        // The time may be up just when somebody has signalled: then there is work.
        return lock.wait(for: work, nanoseconds: idleLimit) || state.hasWork || !state.isPolling
    }

    // MARK: Polling

    /// Waits for events unless there is work, and tells their handlers. Called with the lock held.
    private func poll() {
        state.isPolling = true
        state.pollIsDue = false
        var timeout: Int64 = 0
        if state.jobs.isEmpty || !mayRunJob, state.dirty.isEmpty {
            let deadline = state.timers.nextDeadline()
            state.pollerWakesAt = deadline ?? .max
            timeout = deadline.map { Int64(clamping: $0 &- min($0, Self.now)) } ?? -1
            state.isPollerAsleep = timeout != 0
        }
        lock.unlock()
        let count = martlet_poller_wait(poller, events, timeout)
        for index in 0..<max(0, Int(count)) { dispatch(events[index]) }
        lock.lock()
        state.isPollerAsleep = false
        state.calledAt = 0
        fireTimers()
        state.isPolling = false
        state.polls &+= 1
        state.progress &+= 1
        if !state.closing.isEmpty {
            for descriptor in state.closing { close(descriptor) }
            state.closing.removeAll(keepingCapacity: true)
        }
        if !state.dirty.isEmpty { flushDirty() }
    }

    private func dispatch(_ event: martlet_event) {
        lock.lock()
        state.isPollerAsleep = false
        guard event.token != SourceTable.wakeToken else {
            lock.unlock()
            var value: UInt64 = 0
            _ = read(wakeDescriptor, &value, 8)
            return
        }
        let handler = state.sources.handler(of: event.token)
        lock.unlock()
        handler?.ready(Readiness(rawValue: UInt8(truncatingIfNeeded: event.events)))
    }

    /// Calls what is due now, but not what those calls make due. Called with the lock held.
    private func fireTimers() {
        guard state.timers.count > 0 else { return }
        let now = Self.now
        while let action = state.timers.popDue(now: now) {
            lock.unlock()
            Self.call(consume action)
            lock.lock()
        }
    }

    // What these were given goes when they return, before the lock is taken again: it may be the last reference to
    // something whose deinitialiser calls us.
    @inline(never)
    private static func call(_ action: consuming @escaping @Sendable () -> Void) { action() }

    @inline(never)
    private static func flush(_ targets: consuming [any Flushable]) {
        for target in targets { target.flush() }
    }
}
