import CMartlet
import DequeModule

/// The monitor: a thread that looks, while jobs run, whether the others get along, and calls another if not.
///
/// It looks after a millisecond, and less and less often while it finds nothing to do: a look costs what several
/// messages cost. With nothing to look after it sleeps.
///
/// A thread whose job takes long in wall-clock time may only lack a processor: another thread would have to wait for one
/// too, and costs two hand-overs. So the monitor asks the kernel what the jobs of threads that make no progress have
/// used: one that has computed for about a millisecond, or that waits in the kernel, needs another thread; one that
/// could go on, does so. Only the monitor asks, and only then.
extension Reactor {
    private static var shortestInterval: UInt64 { 1_000_000 }
    private static var longestInterval: UInt64 { 4_000_000 }
    /// The monitor sleeps after this time without a job.
    private static var idleLimit: UInt64 { 50_000_000 }
    /// Processor time after which a job counts as one that computes for long.
    private static var computingLimit: UInt64 { 750_000 }
    /// A job without processor time counts as blocked after this time where there is no `/proc` to say so.
    private static var standstillLimit: UInt64 { 4_000_000 }
    /// Whatever it may lack, nobody waits longer than this for a thread: heartbeats and timers are at stake.
    private static var patience: UInt64 { 50_000_000 }

    /// Has the monitor look after the pool from now on. Called with the lock held.
    func watch() {
        if !state.hasMonitor {
            state.hasMonitor = Self.start("reactor-monitor") { [self] in runMonitor() }
        } else if state.isMonitorAsleep {
            state.isMonitorAsleep = false
            monitorWork.signal()
        }
    }

    private func runMonitor() {
        lock.lock()
        var interval = Self.shortestInterval
        var idle: UInt64 = 0
        while !state.isStopping {
            let (progress, polls) = (state.progress, state.polls)
            if state.running > 0 || state.hasWork { noteJobs() }
            lock.wait(for: monitorWork, nanoseconds: interval)
            let isBusy = state.running > 0
            let isStill = state.progress == progress
            let isStuck = isBusy && isStill
            // Short jobs are best left to one thread: another would only contend with it. So many that they take long are not.
            let backlog = UInt64(state.jobs.count) > 8 &* (state.progress &- progress)
            let isBehind = state.hasWork && (isStuck || (backlog && state.running < processors))
            if isBehind || (isStuck && !state.isPolling), !isStill || !onlyLacksProcessor() { callAnother() }
            if isBusy, !state.isPolling, state.polls == polls { state.pollIsDue = true }

            idle = isBusy || state.hasWork || state.progress != progress ? 0 : idle + interval
            interval =
                state.hasWork || (isBusy && !state.isPolling)
                ? Self.shortestInterval : min(interval * 2, Self.longestInterval)
            // Blocked jobs beside a thread that polls are well looked after, too; so is a pool at its limit.
            let nothingToDo = isStuck && state.isPolling && !(state.hasWork && mayRunJob)
            if idle >= Self.idleLimit || nothingToDo {
                state.isMonitorAsleep = true
                while state.isMonitorAsleep, !state.isStopping { lock.wait(for: monitorWork) }
                interval = Self.shortestInterval
                idle = 0
            }
        }
        state.hasMonitor = false
        stopped.broadcast()
        lock.unlock()
    }

    /// Notes what the threads had used when their present jobs were first seen. Called with the lock held.
    private func noteJobs() {
        for place in state.workers.indices where state.workers[place].isBusy {
            guard state.workers[place].seenJobs != state.workers[place].jobs else { continue }
            state.workers[place].seenJobs = state.workers[place].jobs
            state.workers[place].seenAt = Self.now
            state.workers[place].seenTime = martlet_thread_time(state.workers[place].thread)
        }
    }

    /// Whether one of the threads that made no progress neither computes nor waits, or things have changed. Called with
    /// the lock held; releases it while the kernel is asked, so that no thread is found waiting for it.
    private func onlyLacksProcessor() -> Bool {
        // Each question is a system call; in a pool this large jobs block.
        guard state.running <= 16 else { return false }
        let workers = state.workers.filter(\.isBusy)
        let progress = state.progress
        lock.unlock()
        let lacksProcessor = workers.contains { worker in
            let isSeen = worker.seenJobs == worker.jobs
            let passed = isSeen ? Self.now - worker.seenAt : 0
            if passed > Self.patience { return false }
            if isSeen, martlet_thread_time(worker.thread) &- worker.seenTime > Self.computingLimit { return false }
            switch readsThreadStates ? martlet_thread_is_blocked(worker.thread) : -1 {
            case 0: return true
            case 1: return false
            default: return passed < Self.standstillLimit
            }
        }
        lock.lock()
        return lacksProcessor || state.progress != progress || (state.isPolling && !state.hasWork)
    }

    private func callAnother() {
        // One that was called and has not come lacks a processor too.
        guard state.calledAt == 0 || Self.now - state.calledAt > Self.patience else { return }
        if state.parked > 0 {
            work.signal()
        } else if state.isPollerAsleep, mayRunJob {
            wakePoller()
        } else if state.threads < maximumThreads {
            startThread()
        } else {
            return
        }
        state.calledAt = Self.now
    }
}

extension Reactor {
    /// A thread of the pool, as the monitor sees it.
    struct Worker {
        var thread: martlet_thread
        var isThere = true
        /// It runs a job or polls.
        var isBusy = false
        /// Counts the jobs and polls that it has begun.
        var jobs: UInt64 = 0
        /// What the monitor noted when it first saw the present one: its number, the time, the processor time.
        var seenJobs: UInt64 = 0
        var seenAt: UInt64 = 0
        var seenTime: UInt64 = 0

        @inline(__always)
        mutating func begin() {
            jobs &+= 1
            isBusy = true
        }
    }
}

extension Reactor.State {
    /// - Returns: the thread's place.
    mutating func addWorker(_ thread: martlet_thread) -> Int {
        calledAt = 0
        guard let place = workers.firstIndex(where: { !$0.isThere }) else {
            workers.append(Reactor.Worker(thread: thread))
            return workers.count - 1
        }
        workers[place] = Reactor.Worker(thread: thread)
        return place
    }
}
