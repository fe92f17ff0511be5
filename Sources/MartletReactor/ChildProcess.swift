import CMartlet
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How a program ended.
package enum ExitStatus: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)
}

/// What to start, and with what.
package struct SpawnRequest: Sendable {
    /// The executable itself; it is not searched for.
    package var path: String
    /// The executable as a descriptor, which stays the caller's; the path then only leads to it, and is for people.
    package var executable: Int32?
    /// With the program's name as the first. No string here may hold a NUL byte.
    package var arguments: [String]
    /// `NAME=value`.
    package var environment: [String]
    package var directory: String?
    /// For standard input, output and error. They stay the caller's.
    package var descriptors: (Int32, Int32, Int32)
    /// A session of its own, so that the program cannot ask on our terminal; else only a process group.
    package var newSession = false
    /// With a session of its own: its controlling terminal. It stays the caller's.
    package var terminal: Int32?
    /// What ends the program ends its whole session: a shell with job control makes groups of its own.
    package var endsSession = false
    package var nice: Int32 = 0

    package init(
        path: String,
        executable: Int32? = nil,
        arguments: [String],
        environment: [String],
        directory: String? = nil,
        descriptors: (Int32, Int32, Int32),
        newSession: Bool = false,
        terminal: Int32? = nil,
        endsSession: Bool = false,
        nice: Int32 = 0
    ) {
        self.path = path
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.descriptors = descriptors
        self.newSession = newSession
        self.terminal = terminal
        self.endsSession = endsSession
        self.nice = nice
    }
}

/// A program that we started, with the process group that it leads.
///
/// It is reaped by the reactor. If this process dies, however it dies, the guard ends the group.
package final class ChildProcess: EventHandler {
    package let pid: Int32
    private let reactor: Reactor
    private let endsSession: Bool
    private let state: Mutex<State>

    private typealias OnExit = @Sendable (ExitStatus) -> Void
    private typealias WhenGone = @Sendable () -> Void

    private struct State {
        var source: EventSource?
        var guardSlot: Int32
        /// Who waits for its end is let go with it.
        var onExit: OnExit?
        var whenGone: [WhenGone] = []
        var status: ExitStatus?
        /// The group has outlived its leader.
        var groupLingers = false
        /// It lives on by itself: we only reap it.
        var isReleased = false
        var killTimer: Reactor.TimerToken?
        var killTime = UInt64.max

        /// There is something left to end.
        var isOurs: Bool { (status == nil || groupLingers) && !isReleased }
    }

    /// Starts a program.
    ///
    /// - Parameter onExit: called once on the polling thread, when the program has ended and was reaped; that may be
    ///   before this returns. It must not block.
    /// - Throws: ``SystemError`` that names the step: the program, its directory, the system's limits; `EINVAL` for a
    ///   string with a NUL byte.
    package static func spawn(
        _ request: SpawnRequest,
        reactor: Reactor,
        onExit: @escaping @Sendable (ExitStatus) -> Void
    ) throws(SystemError) -> ChildProcess {
        try spawn(request, reactor: reactor, usingProcessDescriptor: true, onExit: onExit)
    }

    /// With `usingProcessDescriptor: false`, waits as on kernels that have none: for tests.
    static func spawn(
        _ request: SpawnRequest,
        reactor: Reactor,
        usingProcessDescriptor: Bool,
        onExit: @escaping @Sendable (ExitStatus) -> Void
    ) throws(SystemError) -> ChildProcess {
        for string in [request.path, request.directory ?? ""] + request.arguments + request.environment
        where string.utf8.contains(0) {
            throw SystemError(EINVAL, "run \(request.path) with a NUL byte in an argument, variable or path")
        }
        let error = martlet_guard_start()
        guard error == 0 else { throw SystemError(-error, "start the guard of child processes") }
        var pidfd: Int32 = -1
        var guardSlot: Int32 = -1
        var step: Int32 = 0
        let pid = withCStrings(request.arguments) { argv in
            withCStrings(request.environment) { envp in
                request.path.withCString { path in
                    func spawn(_ directory: UnsafePointer<CChar>?) -> pid_t {
                        var raw = martlet_spawn_request(request, path, argv, envp, directory)
                        return martlet_spawn(&raw, &pidfd, &guardSlot, &step)
                    }
                    if let directory = request.directory { return directory.withCString(spawn) }
                    return spawn(nil)
                }
            }
        }
        guard pid > 0 else {
            let operation =
                switch martlet_spawn_step(rawValue: UInt32(step)) {
                case MARTLET_SPAWN_EXEC: "run \(request.path)"
                case MARTLET_SPAWN_DIRECTORY: "enter the directory \(request.directory ?? "")"
                case MARTLET_SPAWN_DESCRIPTORS: "hand descriptors to \(request.path)"
                case MARTLET_SPAWN_GUARD: "guard more than \(MARTLET_GUARD_SLOTS) process groups, for \(request.path)"
                default: "start a process for \(request.path)"
                }
            throw SystemError(-pid, operation)
        }
        if !usingProcessDescriptor, pidfd >= 0 {
            closeDescriptor(pidfd)
            pidfd = -1
        }
        let child = ChildProcess(pid, guardSlot, reactor, endsSession: request.endsSession, onExit)
        child.begin(pidfd: pidfd)
        return child
    }

    private init(
        _ pid: Int32, _ guardSlot: Int32, _ reactor: Reactor, endsSession: Bool,
        _ onExit: @escaping @Sendable (ExitStatus) -> Void
    ) {
        self.pid = pid
        self.reactor = reactor
        self.endsSession = endsSession
        state = Mutex(State(source: nil, guardSlot: guardSlot, onExit: onExit))
    }

    private func begin(pidfd: Int32) {
        if pidfd >= 0 {
            let source = EventSource(pidfd, reactor: reactor)
            state.withLock { $0.source = source }
            if (try? source.watch(for: .readable, self)) != nil { return }
            state.withLock { $0.source = nil }
            source.close()
        }
        look(after: 1_000_000)
    }

    /// Kernels before 5.3 have no process descriptors: look again and again, less and less often.
    private func look(after interval: UInt64) {
        reactor.schedule(at: Reactor.now + interval) { [self] in
            if !reap() { look(after: min(interval * 2, 50_000_000)) }
        }
    }

    package func ready(_ readiness: Readiness) { reap() }

    @discardableResult
    private func reap() -> Bool {
        var raw: Int32 = 0
        let result = waitpid(pid, &raw, WNOHANG)
        if result == 0 || (result < 0 && errno == EINTR) { return false }
        // Somebody else's wait in this process may have taken the status.
        let signal = raw & 0x7f
        let status: ExitStatus =
            result < 0 ? .exited(255) : signal == 0 ? .exited((raw >> 8) & 0xff) : .signalled(signal)
        let (onExit, source, gone) = state.withLock { state -> (OnExit?, EventSource?, [WhenGone]?) in
            guard state.status == nil else { return (nil, nil, nil) }
            state.status = status
            defer { (state.source, state.onExit) = (nil, nil) }
            return (state.onExit, state.source, lookAtGroup(&state))
        }
        source?.close()
        if let gone { for body in gone { body() } } else if onExit != nil { watchGroup() }
        onExit?(status)
        return true
    }

    /// The number of a group is free for others once its last process has gone: look often enough that none can take
    /// it. At first at once, for those that were ended with their leader and are reaped just now.
    private func watchGroup(after interval: UInt64 = 1_000_000) {
        reactor.schedule(at: Reactor.now + interval) { [self] in
            let gone = state.withLock { $0.groupLingers ? lookAtGroup(&$0) : [] }
            if let gone { for body in gone { body() } } else { watchGroup(after: min(interval * 2, 1_000_000_000)) }
        }
    }

    /// - Returns: who wants to know that the group has gone; `nil` if it has not.
    private func lookAtGroup(_ state: inout State) -> [WhenGone]? {
        // What a session's leader has left goes on, unless it is being ended.
        state.groupLingers = !state.isReleased && groupIsAlive(wholeSession: state.killTime != .max)
        reapGroup()
        return state.groupLingers ? nil : forget(&state)
    }

    private func groupIsAlive(wholeSession: Bool) -> Bool {
        martlet_group_is_alive(pid) || (wholeSession && endsSession && martlet_signal_session(pid, 0))
    }

    /// What the leader left in its group is ours if this process adopts orphans: ended together with the leader, it
    /// would stay a zombie. Asked after the group was looked at: in a group without life, each zombie that can come to
    /// us has come.
    private func reapGroup() {
        while waitpid(-pid, nil, WNOHANG) > 0 {}
    }

    /// - Returns: who wants to know; they are called without the lock.
    private func forget(_ state: inout State) -> [WhenGone] {
        martlet_guard_remove(state.guardSlot)
        state.guardSlot = -1
        if let timer = state.killTimer { reactor.cancel(timer) }
        state.killTimer = nil
        defer { state.whenGone = [] }
        return state.whenGone
    }

    /// Whether the program, or one that it started in its group, is still there.
    package var isAlive: Bool { state.withLock { $0.isOurs } }

    /// Has `body` called when it is not alive any more, or was released: maybe at once, before its exit is told, and on
    /// any thread. It must not block.
    package func whenGone(_ body: @escaping @Sendable () -> Void) {
        let isGone = state.withLock { state in
            if state.isOurs { state.whenGone.append(body) }
            return !state.isOurs
        }
        if isGone { body() }
    }

    /// Leaves the program and its group to themselves: neither we nor the guard end them any more.
    package func release() {
        let whenGone = state.withLock { state in
            state.isReleased = true
            state.groupLingers = false
            return forget(&state)
        }
        for body in whenGone { body() }
    }

    /// Sends a signal to the program's whole group.
    package func signal(_ number: Int32) {
        state.withLock { state in
            guard state.isOurs else { return }
            _ = kill(-pid, number)
        }
    }

    /// Ends the group: SIGTERM (and SIGCONT, in case it is stopped) now, SIGKILL after `grace` nanoseconds. Of several
    /// calls the earliest SIGKILL counts.
    package func end(grace: UInt64 = 2_000_000_000) {
        let time = Reactor.now + grace
        state.withLock { state in
            guard state.isOurs, time < state.killTime else { return }
            signalAll(SIGTERM)
            // Interactive shells do not heed the other.
            if endsSession { signalAll(SIGHUP) }
            signalAll(SIGCONT)
            if let timer = state.killTimer { reactor.cancel(timer) }
            state.killTime = time
            state.killTimer = reactor.schedule(at: time) { [self] in
                self.state.withLock { if $0.isOurs { signalAll(SIGKILL) } }
            }
        }
    }

    private func signalAll(_ number: Int32) {
        _ = kill(-pid, number)
        if endsSession { _ = martlet_signal_session(pid, number) }
    }
}

private func martlet_spawn_request(
    _ request: SpawnRequest,
    _ path: UnsafePointer<CChar>,
    _ argv: UnsafePointer<UnsafeMutablePointer<CChar>?>,
    _ envp: UnsafePointer<UnsafeMutablePointer<CChar>?>,
    _ directory: UnsafePointer<CChar>?
) -> martlet_spawn {
    martlet_spawn(
        path: path,
        executable: request.executable ?? -1,
        argv: argv,
        envp: envp,
        directory: directory,
        descriptors: request.descriptors,
        new_session: request.newSession,
        nice: request.nice,
        terminal: request.terminal ?? -1,
        stays_in_group: false
    )
}

private func withCStrings<R>(
    _ strings: [String],
    _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes.append(contentsOf: string.utf8.map(CChar.init(bitPattern:)))
        bytes.append(0)
    }
    return bytes.withUnsafeMutableBufferPointer { buffer in
        var pointers = offsets.map { UnsafeMutablePointer<CChar>?(buffer.baseAddress! + $0) }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
