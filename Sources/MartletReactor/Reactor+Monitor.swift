import CMartlet
import DequeModule

/// The monitor: a thread that looks, while jobs run, whether the others get along, and calls another if not.
///
/// It looks after a millisecond, and less and less often while it finds nothing to do: a look costs what several
/// messages cost. With nothing to look after it sleeps.
extension Reactor {
    private static var shortestInterval: UInt64 { 1_000_000 }
    private static var longestInterval: UInt64 { 4_000_000 }
    /// The monitor sleeps after this time without a job.
    private static var idleLimit: UInt64 { 50_000_000 }

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
            lock.wait(for: monitorWork, nanoseconds: interval)
            let isBusy = state.running > 0
            let isStuck = isBusy && state.progress == progress
            // Short jobs are best left to one thread: another would only contend with it. So many that they take long are not.
            let backlog = UInt64(state.jobs.count) > 8 &* (state.progress &- progress)
            let isBehind = state.hasWork && (isStuck || (backlog && state.running < processors))
            if isBehind || (isStuck && !state.isPolling) { callAnother() }
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

    private func callAnother() {
        if state.parked > 0 {
            work.signal()
        } else if state.isPollerAsleep, mayRunJob {
            wakePoller()
        } else if state.threads < maximumThreads {
            startThread()
        }
    }
}
