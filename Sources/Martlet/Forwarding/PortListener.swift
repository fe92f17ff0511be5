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
            let (descriptors, chosen) = try PortListener.open(addresses, port)
            self.place = .port(chosen, host: host)
            doors = descriptors.map { Door($0, path: nil, reactor, onAccept) }
        }
    }

    /// Listens on all of these addresses with one port. Where there is no IPv6 the other is enough, as for OpenSSH.
    private static func open(
        _ addresses: [String], _ port: UInt16
    ) throws(SystemError) -> (descriptors: [Int32], port: UInt16) {
        // A port that was chosen for the first may be taken on the second.
        var triesLeft = port == 0 ? 8 : 1
        while true {
            var descriptors: [Int32] = []
            var chosen = port
            var missing: SystemError?
            var failure: SystemError?
            for address in addresses where failure == nil {
                let descriptor = martlet_listen(address, chosen, 128)
                if descriptor >= 0 {
                    chosen = martlet_local_port(descriptor)
                    descriptors.append(descriptor)
                    continue
                }
                let what =
                    descriptor == -EINVAL
                    ? "listen at \(address), which is no address of numbers," : "listen at \(address)"
                let error = SystemError(-descriptor, "\(what) port \(chosen)")
                if [EADDRNOTAVAIL, EAFNOSUPPORT, EPROTONOSUPPORT].contains(-descriptor) {
                    missing = missing ?? error
                } else {
                    failure = error
                }
            }
            guard let error = failure ?? (descriptors.isEmpty ? missing : nil) else { return (descriptors, chosen) }
            for descriptor in descriptors { closeDescriptor(descriptor) }
            triesLeft -= 1
            guard error.errno == EADDRINUSE, triesLeft > 0 else { throw error }
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
