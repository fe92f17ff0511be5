import CMartlet
import DequeModule
import MartletReactor
import Synchronization

/// The main actor's executor in an agent, whose main thread is the reactor's: nobody drains libdispatch's main queue.
///
/// The jobs run on the reactor's threads, one at a time and in order. One that blocks holds up the main actor and nothing
/// else.
final class MainJobs: SerialExecutor {
    private struct State {
        var jobs = Deque<UnownedJob>()
        var isRunning = false
    }

    private static let shared = MainJobs()
    private let state = Mutex(State())

    /// From now on jobs of the main actor come here.
    static func begin() {
        _ = martlet_keep_main_actor(unsafeBitCast(shared.asUnownedSerialExecutor(), to: martlet_executor.self))
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFirst = state.withLock { state in
            state.jobs.append(job)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        // It ends when no job is left. Detached: what the enqueuing task carries is not for the other jobs.
        if isFirst {
            Task.detached(executorPreference: Reactor.shared) { [self] in
                while runNext() { await Task.yield() }
            }
        }
    }

    private func runNext() -> Bool {
        let job = state.withLock { state in
            let job = state.jobs.popFirst()
            state.isRunning = job != nil
            return job
        }
        job?.runSynchronously(on: asUnownedSerialExecutor())
        return job != nil
    }
}
