import CMartlet
import Martlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Waits for the shims of one scope, and has a session for each.
final class ShimServer: EventHandler {
    /// How many may run at once; more wait in the kernel for their turn to be accepted, and are refused beyond.
    private static let limit = 1024

    private let listener: EventSource
    private let reactor: Reactor
    private let token: String
    private let hosts: SSHHosts
    private let state = Mutex(State())

    private struct State {
        var sessions: [ObjectIdentifier: ShimSession] = [:]
        var isOver = false
    }

    /// - Parameter listener: taken over.
    init(listener: Int32, token: String, _ hosts: SSHHosts) throws(SystemError) {
        reactor = hosts.runtime.reactor
        self.listener = EventSource(listener, reactor: reactor)
        self.token = token
        self.hosts = hosts
        try self.listener.watch(for: .readable, self)
    }

    func ready(_ readiness: Readiness) {
        while true {
            let descriptor = martlet_socket_accept(listener.descriptor)
            guard descriptor >= 0 else {
                if descriptor != -EAGAIN, descriptor != -EINTR, descriptor != -ECONNABORTED { pause() }
                return
            }
            guard martlet_socket_peer(descriptor) == Int64(geteuid()) else {
                closeDescriptor(descriptor)
                continue
            }
            let session = ShimSession(descriptor, reactor, token: token, hosts) { [weak self] session in
                self?.state.withLock { $0.sessions[ObjectIdentifier(session)] = nil }
            }
            let isTaken = state.withLock { state in
                guard !state.isOver, state.sessions.count < Self.limit else { return false }
                state.sessions[ObjectIdentifier(session)] = session
                return true
            }
            if isTaken { session.begin() } else { session.end("too many at once") }
        }
    }

    /// Without descriptors there is nothing to do but to come back: whoever waits, waits.
    private func pause() {
        try? listener.watch(for: [], self)
        reactor.schedule(at: Reactor.now + 50_000_000) { [weak self] in
            guard let self else { return }
            try? listener.watch(for: .readable, self)
        }
    }

    /// Nothing is lent any more: what runs ends.
    func close() {
        listener.close()
        let sessions = state.withLock { state in
            state.isOver = true
            return Array(state.sessions.values)
        }
        for session in sessions { session.end("the scope has ended") }
    }
}
