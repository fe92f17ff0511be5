import CMartlet
package import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Listens on a port or a Unix socket. Nothing is left of it when it is closed.
package final class PortListener: Sendable {
    /// Where, with the port that was chosen.
    package let place: ForwardPlace
    private let doors: [Door]

    /// - Parameter onAccept: gets each connection, which is its own then, and who it is from (empty: not known).
    /// - Throws: ``SystemError``.
    package init(
        _ place: ForwardPlace, reactor: Reactor, onAccept: @escaping @Sendable (Int32, String) -> Void
    ) throws(SystemError) {
        switch place {
        case .socket(let path):
            let descriptor = martlet_socket_listen_at(path, 128)
            guard descriptor >= 0 else { throw SystemError(-descriptor, "listen at \(path)") }
            self.place = place
            doors = [Door(descriptor, path: path, reactor, onAccept)]
        case .port(let port, let host):
            let addresses: [String]
            switch host {
            case nil, "localhost", "": addresses = ["127.0.0.1", "::1"]
            case "*": addresses = ["0.0.0.0", "::"]
            case let host?: addresses = [host]
            }
            var doors: [Door] = []
            var port = port
            var failure: SystemError?
            for address in addresses {
                let descriptor = martlet_listen(address, port, 128)
                guard descriptor >= 0 else {
                    let what =
                        descriptor == -EINVAL
                        ? "listen at \(address), which is no address of numbers," : "listen at \(address)"
                    failure = failure ?? SystemError(-descriptor, "\(what) port \(port)")
                    continue
                }
                port = martlet_local_port(descriptor)
                doors.append(Door(descriptor, path: nil, reactor, onAccept))
            }
            // Where there is no IPv6 the other is enough, as for OpenSSH.
            if doors.isEmpty { throw failure! }
            self.place = .port(port, host: host)
            self.doors = doors
        }
    }

    package func begin() { for door in doors { door.resume() } }
    package func close() { for door in doors { door.close() } }

    private final class Door: EventHandler {
        private let source: EventSource
        private let path: String?
        private let reactor: Reactor
        private let onAccept: @Sendable (Int32, String) -> Void
        private let isClosed = Mutex(false)

        init(
            _ descriptor: Int32, path: String?, _ reactor: Reactor,
            _ onAccept: @escaping @Sendable (Int32, String) -> Void
        ) {
            source = EventSource(descriptor, reactor: reactor)
            self.path = path
            self.reactor = reactor
            self.onAccept = onAccept
        }

        deinit { close() }

        func resume() { try? source.watch(for: .readable, self) }

        func ready(_ readiness: Readiness) {
            var peer = [CChar](repeating: 0, count: 64)
            while true {
                let descriptor = martlet_accept(source.descriptor, &peer, peer.count)
                if descriptor < 0 {
                    // Without descriptors there is nothing to do but to come back.
                    guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(-descriptor) else { return }
                    try? source.watch(for: [], self)
                    reactor.schedule(at: Reactor.now + 50_000_000) { [weak self] in self?.resume() }
                    return
                }
                onAccept(
                    descriptor, String(decoding: peer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
        }

        func close() {
            let isFirst = isClosed.withLock { isClosed in
                defer { isClosed = true }
                return !isClosed
            }
            guard isFirst else { return }
            if let path { unlink(path) }
            source.close()
        }
    }
}
