import CMartlet
import Martlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A tool that has our terminal, as if the shell had started it. Ctrl-C and Ctrl-Z are its own; SIGTERM and SIGHUP are passed on,
/// as often as they come.
final class ToolInFront: EventHandler {
    private let pid: Int32
    private let source: EventSource?
    private let state = Mutex<(status: Int32?, waiter: UnsafeContinuation<Void, Never>?)>((nil, nil))

    private init(_ pid: Int32, _ pidfd: Int32) {
        self.pid = pid
        source = pidfd >= 0 ? EventSource(pidfd, reactor: .shared) : nil
    }

    /// - Returns: its exit status, or 128 and the signal that ended it.
    static func run(_ arguments: [String], _ changes: [String: String?], _ session: Session) async throws -> Int32 {
        var environment = ProcessEnvironment.current
        for (name, value) in changes { environment[name] = value }
        let path: String
        do { path = try ProgramSearch.find(arguments[0], path: environment["PATH"]) } catch {
            session.output.say("martlet: \(error)", to: .error)
            return error.errno == ENOENT ? 127 : 126
        }
        let strings = environment.strings
        let tool: ToolInFront
        do { tool = try start(path, arguments, strings) } catch {
            session.output.say("martlet: \(error)", to: .error)
            return 126
        }
        tool.watch()
        return await session.interruption.passing(to: tool.send) { await tool.status() }
    }

    private static func start(
        _ path: String, _ arguments: [String], _ environment: [String]
    ) throws(SystemError) -> ToolInFront {
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup($0) } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pidfd: Int32 = -1
        let pid = martlet_spawn_in_front(path, &argv, &envp, &pidfd)
        guard pid > 0 else { throw SystemError(-pid, "run \(path)") }
        return ToolInFront(pid, pidfd)
    }

    private func watch() {
        if let source, (try? source.watch(for: .readable, self)) != nil { return }
        look()
    }

    /// Where the kernel has no process descriptors.
    private func look() {
        if !reap() { Reactor.shared.schedule(at: Reactor.now + 20_000_000) { [self] in look() } }
    }

    func ready(_ readiness: Readiness) { reap() }

    @discardableResult
    private func reap() -> Bool {
        var raw: Int32 = 0
        let (isOver, waiter) = state.withLock { state -> (Bool, UnsafeContinuation<Void, Never>?) in
            guard state.status == nil else { return (true, nil) }
            guard waitpid(pid, &raw, WNOHANG) == pid else { return (false, nil) }
            let signal = raw & 0x7f
            state.status = signal == 0 ? (raw >> 8) & 0xff : 128 + signal
            defer { state.waiter = nil }
            return (true, state.waiter)
        }
        if isOver { source?.close() }
        waiter?.resume()
        return isOver
    }

    private func status() async -> Int32 {
        await withUnsafeContinuation { continuation in
            let isOver = state.withLock { state in
                if state.status == nil { state.waiter = continuation }
                return state.status != nil
            }
            if isOver { continuation.resume() }
        }
        return state.withLock { $0.status ?? 255 }
    }

    private func send(_ signal: Int32) {
        state.withLock { state in
            if state.status == nil { _ = kill(pid, signal) }
        }
    }
}
