import CMartlet
import Martlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// At a path.
extension SocketServer {
    func listen(at path: String) throws {
        var descriptor = martlet_socket_listen_at(path, 64)
        if descriptor == -EADDRINUSE, isStale(path) {
            unlink(path)
            descriptor = martlet_socket_listen_at(path, 64)
        }
        guard descriptor >= 0 else {
            throw MartletError(
                .misuse, "cannot listen at \(path): \(SystemError.text(-descriptor))",
                advice: descriptor == -EADDRINUSE ? "another server listens there, or it is not a socket" : nil)
        }
        let source = EventSource(descriptor, reactor: .shared)
        state.withLock { ($0.listener, $0.path) = (source, path) }
        try source.watch(for: .readable, Acceptor(self))
    }

    /// Nobody listens any more at what is there.
    private func isStale(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        let descriptor = martlet_socket_connect(path)
        if descriptor >= 0 { closeDescriptor(descriptor) }
        return descriptor == -ECONNREFUSED
    }

    private final class Acceptor: EventHandler {
        weak let server: SocketServer?
        init(_ server: SocketServer) { self.server = server }
        func ready(_ readiness: Readiness) { server?.acceptLocal() }
    }

    private func acceptLocal() {
        guard let listener = state.withLock({ $0.listener }) else { return }
        while true {
            let descriptor = martlet_socket_accept(listener.descriptor)
            guard descriptor >= 0 else { return }
            let peer = martlet_socket_peer(descriptor)
            // The mode of the socket says the same; who changed that still does not get in.
            guard peer == Int64(geteuid()) || peer == 0 else {
                log("user \(peer) was turned away: the socket is for user \(geteuid())")
                closeDescriptor(descriptor)
                continue
            }
            guard enter() else {
                closeDescriptor(descriptor)
                continue
            }
            let stranger = LocalStranger(EventSource(descriptor, reactor: .shared), self, peer)
            stranger.begin(within: Self.firstLineLimit)
        }
    }

    /// Somebody who has said nothing yet.
    private final class LocalStranger: EventHandler {
        let source: EventSource
        let server: SocketServer
        let peer: Int64
        private let state = Mutex<(bytes: [UInt8], isOver: Bool, timer: Reactor.TimerToken?)>(([], false, nil))

        init(_ source: EventSource, _ server: SocketServer, _ peer: Int64) {
            (self.source, self.server, self.peer) = (source, server, peer)
        }

        func begin(within limit: UInt64) {
            let timer = Reactor.shared.schedule(at: Reactor.now + limit) { [self] in end("said nothing in time") }
            state.withLock { $0.timer = timer }
            if (try? source.watch(for: .readable, self)) == nil { end("cannot be watched") }
        }

        private func end(_ reason: String?) {
            let (isFirst, timer) = state.withLock { state in
                defer { state.isOver = true }
                return (!state.isOver, state.timer)
            }
            guard isFirst else { return }
            if let timer { Reactor.shared.cancel(timer) }
            server.leave()
            guard let reason else { return }
            server.log("user \(peer): \(reason)")
            source.close()
        }

        func ready(_ readiness: Readiness) {
            var part = [UInt8](repeating: 0, count: ShellRequest.longest)
            let count = read(source.descriptor, &part, part.count)
            guard count > 0 else {
                if count == 0 || errno != EAGAIN { end("hung up") }
                return
            }
            let bytes = state.withLock { state in
                state.bytes += part[..<count]
                return state.bytes
            }
            switch ShellRequest.read(bytes) {
            case .incomplete: break
            case .nonsense: end("is no client of ours")
            case .line(let line):
                end(nil)
                try? source.watch(for: [], self)
                server.serve(line, source, peer)
            }
        }
    }

    private func serve(_ line: String, _ source: EventSource, _ peer: Int64) {
        do {
            let copy = fcntl(source.descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw SystemError(errno, "copy a descriptor") }
            guard let number = admit() else {
                closeDescriptor(copy)
                refuse(source, "there are \(sessionLimit) sessions already")
                return
            }
            let shell = try ServedShell(line, on: copy)
            log("user \(peer): session \(number) begins")
            // The end of the connection shows, though the shell has it: it is watched for nothing else.
            try? source.watch(
                for: .closed,
                Hangup {
                    source.close()
                    shell.end()
                })
            let task = Task(executorPreference: Reactor.shared) { [self] in
                await shell.untilOver()
                source.close()
                remove(number)
            }
            state.withLock { $0.sessions[number] = Session(shell: shell, source: source, task: task) }
            if shell.isOver { remove(number) }
        } catch {
            log("user \(peer): \(error)")
            refuse(source, "\(error)")
        }
    }

    private final class Hangup: EventHandler {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        func ready(_ readiness: Readiness) { body() }
    }

    private func refuse(_ source: EventSource, _ reason: String) {
        let words = Array("martlet serve: \(reason)\n".utf8)
        _ = words.withUnsafeBytes { write(source.descriptor, $0.baseAddress!, $0.count) }
        source.close()
    }
}
