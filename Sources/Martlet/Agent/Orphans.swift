import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What programs and tasks of this context have started and left behind: daemons and their like. The kernel makes them
/// children of ours when their parent ends; they live as long as the context.
///
/// A task may have children of its own, whose status is for it alone. So only what is an orphan for certain is reaped: a
/// process of a session that is neither ours nor its own cannot have come from us, nor one in the group of one of our
/// programs, nor one that was seen with another parent. At the end all of them are ended alike.
///
/// Nothing tells when the kernel gives us an orphan, so that there are looks at `/proc`: while tasks or programs run, at
/// most ten a second, and one a second when they run for long. What is found then ends also with an agent that is killed.
final class Orphans: Sendable {
    private static let firstPause: UInt64 = 100_000_000
    private static let longestPause: UInt64 = 1_000_000_000
    /// Between the looks while nothing runs but something is there.
    private static let idlePause: UInt64 = 30_000_000_000
    /// How many processes one look reads at most.
    private static let room = 512

    /// What the context knows of itself.
    struct Surroundings {
        /// The processes that it has started and will reap itself.
        var own: Set<Int32>
        /// Tasks or programs run.
        var isBusy: Bool
    }

    private struct State {
        var hasIdleTimer = false
        /// Processes that were seen with another parent, by number, with their start.
        var strangers: [Int32: UInt64] = [:]
        var watched: [Int32: EventSource] = [:]
        var isGuardTold = false
        /// Ours, and those that were ours.
        var sessions: Set<Int32> = [getsid(0)]
    }

    private let reactor: Reactor
    private let surroundings: @Sendable () -> Surroundings
    private let state = Mutex(State())
    private let isLookDue = Atomic(false)
    private let group = getpgrp()

    init(_ reactor: Reactor, _ surroundings: @escaping @Sendable () -> Surroundings) {
        self.reactor = reactor
        self.surroundings = surroundings
        martlet_adopt_orphans()
    }

    /// The process has a new session.
    func sessionChanged() { state.withLock { _ = $0.sessions.insert(getsid(0)) } }

    /// Something begins that may leave something behind.
    func expect() {
        guard !isLookDue.load(ordering: .relaxed), !isLookDue.exchange(true, ordering: .relaxed) else { return }
        reactor.schedule(at: Reactor.now + Self.firstPause) { [self] in look(pause: Self.firstPause) }
    }

    private func look(pause: UInt64) {
        let around = surroundings()
        let foreign = take(around)
        if around.isBusy {
            let next = min(pause * 2, Self.longestPause)
            reactor.schedule(at: Reactor.now + next) { [self] in look(pause: next) }
        } else {
            isLookDue.store(false, ordering: .relaxed)
            guard !foreign.isEmpty,
                !state.withLock({ state in
                    defer { state.hasIdleTimer = true }
                    return state.hasIdleTimer
                })
            else { return }
            reactor.schedule(at: Reactor.now + Self.idlePause) { [self] in
                state.withLock { $0.hasIdleTimer = false }
                expect()
            }
        }
    }

    /// Looks once: reaps the orphans that have ended, and tells the guard of those that are to end with us.
    private func take(_ around: Surroundings) -> [martlet_process] {
        let foreign = foreignChildren(around.own)
        var living: [martlet_process] = []
        for process in foreign {
            let isOrphan = process.is_monitor || isOrphan(process, around.own)
            if process.state == CChar(UInt8(ascii: "Z")) {
                if isOrphan { reap(process.pid) }
            } else {
                living.append(process)
                if isOrphan { watch(process.pid) }
            }
        }
        meet(around.own, living)
        // A container is not its starter's: it has a name, and whoever made it ends it.
        living.removeAll { $0.is_monitor }
        tellGuard(living)
        return living
    }

    private func foreignChildren(_ own: Set<Int32>) -> [martlet_process] {
        let guardID = martlet_guard_pid()
        return children(of: getpid()).filter { $0.pid != guardID && !own.contains($0.pid) && !$0.is_leased }
    }

    private func children(of parent: Int32) -> [martlet_process] {
        withUnsafeTemporaryAllocation(of: pid_t.self, capacity: Self.room) { pids in
            let count = Int(martlet_children(parent, pids.baseAddress, Int32(pids.count)))
            return pids[..<count].compactMap { pid in
                var process = martlet_process()
                // It may have ended, or have got another parent, since the list was made.
                return martlet_read_process(pid, &process) && process.parent == parent ? process : nil
            }
        }
    }

    private func isOrphan(_ process: martlet_process, _ own: Set<Int32>) -> Bool {
        (process.group != process.pid && own.contains(process.group))
            || state.withLock { state in
                (process.session != process.pid && !state.sessions.contains(process.session))
                    || state.strangers[process.pid] == process.start
            }
    }

    /// Notes who hangs below our children.
    private func meet(_ own: Set<Int32>, _ orphans: [martlet_process]) {
        var open = Array(own) + orphans.map(\.pid)
        var strangers: [Int32: UInt64] = [:]
        while let parent = open.popLast(), strangers.count < Self.room {
            for process in children(of: parent) where strangers[process.pid] == nil {
                strangers[process.pid] = process.start
                open.append(process.pid)
            }
        }
        state.withLock { state in
            // Those that have come to us since stay known.
            for process in orphans where state.strangers[process.pid] == process.start {
                strangers[process.pid] = process.start
            }
            state.strangers = strangers
        }
    }

    private func tellGuard(_ living: [martlet_process]) {
        let isNews = state.withLock { state in
            defer { state.isGuardTold = !living.isEmpty }
            return state.isGuardTold || !living.isEmpty
        }
        guard isNews, martlet_guard_start() == 0 else { return }
        living.withUnsafeBufferPointer { martlet_guard_set_processes($0.baseAddress, $0.count) }
    }

    // MARK: Reaping

    private final class Watch: EventHandler {
        let pid: Int32
        let orphans: Orphans
        init(_ pid: Int32, _ orphans: Orphans) { (self.pid, self.orphans) = (pid, orphans) }
        func ready(_ readiness: Readiness) { orphans.reap(pid) }
    }

    private func watch(_ pid: Int32) {
        guard state.withLock({ $0.watched[pid] == nil }) else { return }
        let descriptor = martlet_process_descriptor(pid)
        guard descriptor >= 0 else { return }
        let source = EventSource(descriptor, reactor: reactor)
        state.withLock { $0.watched[pid] = source }
        if (try? source.watch(for: .readable, Watch(pid, self))) == nil { forget(pid) }
    }

    private func reap(_ pid: Int32) {
        if waitpid(pid, nil, WNOHANG) != 0 { forget(pid) }
    }

    private func forget(_ pid: Int32) {
        state.withLock { $0.watched.removeValue(forKey: pid) }?.close()
    }

    // MARK: End

    /// Ends all children that are not the context's own programs, and what comes to us as they end: SIGTERM, half way
    /// through the time SIGKILL.
    ///
    /// - Parameter limit: in nanoseconds.
    func end(within limit: UInt64) async {
        let start = Reactor.now
        var told: Set<Int32> = []
        var pause: UInt64 = 1_000_000
        while true {
            let foreign = take(surroundings())
            if foreign.isEmpty || Reactor.now >= start + limit { return }
            let isLate = Reactor.now >= start + limit / 2
            for process in foreign where told.insert(process.pid).inserted || isLate {
                let target = process.group > 1 && process.group != group ? -process.group : process.pid
                if isLate {
                    kill(target, SIGKILL)
                } else {
                    kill(target, SIGTERM)
                    kill(target, SIGCONT)
                }
            }
            await reactor.sleep(pause)
            pause = min(pause * 2, 20_000_000)
        }
    }
}
