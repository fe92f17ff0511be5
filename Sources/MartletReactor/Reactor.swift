import CMartlet
import DequeModule

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The executor that is also the multiplexer.
///
/// A thread without a job waits in the kernel for descriptors and timers; what becomes ready resumes tasks on this same
/// executor, and the thread that found it runs the first of them itself. A message therefore passes through no other
/// thread on its way from the descriptor to the code that waits for it.
///
/// Blocking code is welcome: while every thread is busy or blocked nobody polls, and a monitor notices within about a
/// millisecond and lets another thread take over. Calls shorter than that cost no wake-up. Nothing runs while idle: the
/// monitor sleeps too.
///
/// What must go on whatever user code does (heartbeats, credit, relaying) runs inside ``EventHandler`` and timers, on the
/// polling thread, not as jobs: when the pool is at its limit, one thread of it takes no job.
package final class Reactor: TaskExecutor, @unchecked Sendable {
    struct State {
        var jobs = Deque<UnownedJob>()
        var timers = TimerQueue<@Sendable () -> Void>()
        var sources = SourceTable()
        /// What has bytes to write once the running burst of jobs is over.
        var dirty: [any Flushable] = []
        /// Descriptors to close once the running dispatch is over: a handler may still be using them.
        var closing: [Int32] = []
        var isPolling = false
        /// The poller sleeps in the kernel, until this time.
        var isPollerAsleep = false
        var pollerWakesAt: UInt64 = .max
        /// The threads were busy with jobs for too long: the next that comes by looks at the descriptors.
        var pollIsDue = false
        var threads = 0
        var parked = 0
        /// What the monitor knows of each thread of the pool; a thread keeps its place.
        var workers: [Worker] = []
        /// When the monitor called a thread that has not come yet; 0 for none.
        var calledAt: UInt64 = 0
        var running = 0
        /// Counts jobs and polls that have ended, so that the monitor can tell busy from stuck.
        var progress: UInt64 = 0
        var polls: UInt64 = 0
        var isMonitorAsleep = false
        var hasMonitor = false
        var isStopping = false

        /// A thread calls handlers and timers at this moment, or is about to.
        var isDispatching: Bool { isPolling && !isPollerAsleep }
        var hasWork: Bool { !jobs.isEmpty || !dirty.isEmpty }
    }

    // Everything mutable is in `state`, guarded by `lock`: the state and the conditions to sleep on go together. It
    // lies behind a pointer because the run-time's exclusivity checks on a class's variables cost more than the lock.
    let lock = ConditionLock()
    private let storage: UnsafeMutablePointer<State>
    var state: State {
        @inline(__always) _read { yield storage.pointee }
        @inline(__always) _modify { yield &storage.pointee }
    }
    /// The polling thread's own.
    let events: UnsafeMutablePointer<martlet_event>
    let work = ConditionLock.Condition()
    let monitorWork = ConditionLock.Condition()
    let stopped = ConditionLock.Condition()
    let poller: Int32
    let wakeDescriptor: Int32
    let maximumThreads: Int
    let idleLimit: UInt64
    let processors: Int
    let readsThreadStates: Bool

    /// The reactor of this process. It lives as long as the process: a task may come back to its executor at any time.
    package static let shared = Reactor()

    /// - Parameters:
    ///   - maximumThreads: how far the pool grows when jobs block, at least 2. Default: 128.
    ///   - idleLimit: when a thread without work ends, in nanoseconds, unless it polls. Default: 5 s.
    ///   - readsThreadStates: `false`: does as where there is no `/proc`, for tests.
    package init(maximumThreads: Int = 128, idleLimit: UInt64 = 5_000_000_000, readsThreadStates: Bool = true) {
        self.readsThreadStates = readsThreadStates
        poller = martlet_poller_create()
        precondition(poller >= 0, "martlet: cannot create a poller: \(SystemError.text(-poller))")
        wakeDescriptor = martlet_wake_create()
        precondition(wakeDescriptor >= 0, "martlet: cannot create an eventfd: \(SystemError.text(-wakeDescriptor))")
        self.maximumThreads = max(2, maximumThreads)
        self.idleLimit = idleLimit
        storage = .allocate(capacity: 1)
        storage.initialize(to: State())
        events = .allocate(capacity: Int(MARTLET_EVENTS))
        processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        _ = martlet_poller_control(poller, 0, wakeDescriptor, Readiness.readable.mask, SourceTable.wakeToken)
    }

    deinit {
        close(wakeDescriptor)
        close(poller)
        storage.deinitialize(count: 1)
        storage.deallocate()
        events.deallocate()
    }

    // MARK: Jobs

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        lock.lock()
        state.jobs.append(job)
        if martlet_thread_mark() != ownMark {
            callForWorker()
        } else if state.running > 0 {
            // One of our own threads takes it as soon as it is done with what it does now; the monitor sees to it that
            // it is not left lying if that takes long.
            watch()
        }
        lock.unlock()
    }

    /// At the limit one thread is kept for the poll.
    var mayRunJob: Bool { state.running < maximumThreads - 1 }

    var ownMark: UInt { UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()) }

    /// Whether the running thread is one of this reactor's.
    package var isCurrent: Bool { martlet_thread_mark() == ownMark }

    /// Sees to it that a thread takes what was just put into the state. Called with the lock held.
    func callForWorker() {
        if state.parked > 0 {
            work.signal()
        } else if state.isPollerAsleep {
            wakePoller()
        } else if state.threads == 0 {
            startThread()
        }
        // Else a thread is running and comes by; if it is stuck, the monitor calls another.
    }

    func wakePoller() {
        state.isPollerAsleep = false
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    // MARK: Coalesced writes

    /// Puts off the writing of `target` until the running burst of jobs or events is over.
    ///
    /// - Parameter evenAlone: a single job is a burst too: it is likely to have more to write before it suspends. If it
    ///   blocks instead, the monitor has another thread write, within milliseconds.
    /// - Returns: `false` if there is no burst: then the caller writes at once.
    package func flushSoon(_ target: any Flushable, evenAlone: Bool = false) -> Bool {
        guard isCurrent else { return false }
        lock.lock()
        defer { lock.unlock() }
        guard evenAlone || state.isDispatching || (!state.jobs.isEmpty && mayRunJob) else { return false }
        state.dirty.append(target)
        return true
    }

    // MARK: Timers

    /// A timer that was set and may be cancelled.
    package struct TimerToken: Hashable, Sendable {
        fileprivate var token: TimerQueue<@Sendable () -> Void>.Token
    }

    /// Calls `action` on the polling thread at `deadline`, in nanoseconds of ``now``. It must not block.
    @discardableResult
    package func schedule(at deadline: UInt64, _ action: @escaping @Sendable () -> Void) -> TimerToken {
        lock.lock()
        defer { lock.unlock() }
        let token = state.timers.add(action, at: deadline)
        if state.threads == 0 {
            startThread()
        } else if state.isPollerAsleep, deadline < state.pollerWakesAt {
            wakePoller()
        }
        return TimerToken(token: token)
    }

    /// - Returns: `false` if the timer's time had come already.
    @discardableResult
    package func cancel(_ timer: TimerToken) -> Bool {
        lock.lock()
        let action = state.timers.cancel(timer.token)
        lock.unlock()
        // What the action held goes here, not under the lock: its deinitialisers may call us.
        return action != nil
    }

    /// Nanoseconds of the monotonic clock.
    package static var now: UInt64 { martlet_now() }

    // MARK: End

    /// Ends the threads, waits until they are gone, and forgets timers and handlers. Jobs that come later are not run:
    /// for tests.
    package func stop() {
        lock.lock()
        state.isStopping = true
        work.broadcast()
        monitorWork.broadcast()
        wakePoller()
        while state.threads > 0 || state.hasMonitor { lock.wait(for: stopped) }
        // They may hold us as we hold them; what they hold goes after the lock.
        let held = (state.timers, state.sources)
        state.timers = TimerQueue()
        state.sources.forgetHandlers()
        lock.unlock()
        withExtendedLifetime(held) {}
    }
}

/// Something that gathers bytes while jobs run and writes them in one system call.
package protocol Flushable: AnyObject, Sendable {
    func flush()
}
