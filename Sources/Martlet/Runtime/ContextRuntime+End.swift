import MartletReactor
import MartletWire
import Synchronization

/// How a context ends, whichever tree it is in.
extension ContextRuntime {
    /// Takes no more work from now on. Channels that are under way are joined still.
    func refuseWork(_ code: ResetReason.Code, _ why: String) {
        state.withLock { if $0.refusal == nil { $0.refusal = StreamRefusal(code, why) } }
    }

    /// Stops taking work, and ends what runs: tasks are cancelled, programs get SIGTERM and, after `grace`, SIGKILL.
    func beginShutdown(grace: UInt64 = 1_500_000_000) {
        let (first, programs, posted, guests) = state.withLock { state in
            defer { state.isShuttingDown = true }
            return (
                !state.isShuttingDown, Array(state.programs.values), Array(state.posted.values),
                Array(state.guests.values)
            )
        }
        guard first else { return }
        refuseWork(.shuttingDown, "the context is shutting down")
        for guest in guests { guest.close() }
        predecessor?.beginShutdown(grace: grace)
        channels.close()
        capabilities.close()
        for call in posted { call.cancel() }
        for program in programs { program.end(grace: grace) }
    }

    /// Asks the contexts below to go, all at once, and waits until they are gone.
    ///
    /// - Parameter limit: in nanoseconds.
    func closeChildren(within limit: UInt64, drains: Bool = false) async {
        await withTaskGroup(of: Void.self) { group in
            for child in children { group.addTask { await child.close(within: limit, drains: drains) } }
        }
    }

    /// Lets what this context and those below it have sent arrive. It should take no more work by then.
    ///
    /// - Parameter isDrained: whether all has left that is not the channels'.
    func drain(until deadline: UInt64, _ isDrained: () -> Bool) async {
        channels.drain()
        await closeChildren(within: deadline - min(deadline, Reactor.now), drains: true)
        while Reactor.now < deadline, !(channels.isDrained && isDrained()) { await reactor.sleep(1_000_000) }
    }

    /// Waits until what was started here is gone, by these limits; what ends is ``beginShutdown(grace:)``'s to tell.
    ///
    /// - Parameters:
    ///   - children: how long contexts below may take, in nanoseconds.
    ///   - tasks: how long tasks may take to notice that they are cancelled, in nanoseconds.
    func untilGone(children: UInt64 = 3_000_000_000, tasks: UInt64) async {
        await closeChildren(within: children)
        await untilProgramsAreGone(within: 3_000_000_000)
        await untilIdle(within: tasks)
    }

    /// Waits until no task and no command runs, or the time is up: code that never returns is not waited for.
    func untilIdle(within limit: UInt64) async {
        let deadline = Reactor.now + limit
        while isBusy, Reactor.now < deadline { await reactor.sleep(1_000_000) }
    }

    /// Waits until the programs are gone that were started here; those that stay too long get SIGKILL.
    func untilProgramsAreGone(within limit: UInt64) async {
        let deadline = Reactor.now + limit
        var pause: UInt64 = 500_000
        while true {
            let alive = allStarted.filter(\.isAlive)
            if alive.isEmpty || Reactor.now >= deadline {
                for program in alive { program.signal(9) }
                return
            }
            await reactor.sleep(pause)
            pause = min(pause * 2, 50_000_000)
        }
    }
}
