import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where a detached context waits: a socket in a directory that is its user's alone. Whoever connects must be the same
/// user or root, and must show the id.
final class Detachment: EventHandler {
    /// What says who comes: magic, id, nonce.
    static let magic = Array("MARTLET-ATTACH-1".utf8)
    static let greetingSize = 16 + 32 + 32
    /// How long a visitor may take to say it, in nanoseconds.
    private static let greetingLimit: UInt64 = 5_000_000_000
    /// How many visitors may be about to say it.
    private static let visitorLimit = 16
    /// What a visitor is told who is not let in: his id is wrong, or another one is in.
    static let refused = UInt8(ascii: "R")
    static let busy = UInt8(ascii: "B")

    /// 32 hexadecimal digits: whoever knows them may have the context.
    let id: String
    let path: String
    private let directory: String
    private let listener: EventSource
    private let reactor: Reactor
    private let onAttach: @Sendable (EventSource, String) -> Bool
    private let visitors = Mutex<[ObjectIdentifier: Visitor]>([:])

    /// - Parameters:
    ///   - place: where, in a private directory that is there. Default: where nobody can guess it.
    ///   - onAttach: gets the connection of a visitor with the id, and his nonce; returns `false` if there is no room for one.
    init(
        _ reactor: Reactor, at place: DetachedPlace? = nil, onAttach: @escaping @Sendable (EventSource, String) -> Bool
    ) throws(MartletError) {
        self.reactor = reactor
        self.onAttach = onAttach
        if let place {
            (id, path, directory) = (
                place.id, place.socket, String(decoding: Array(place.socket.utf8).splitPath.0, as: UTF8.self)
            )
            let result = martlet_socket_listen(path)
            guard result >= 0 else {
                throw MartletError(.noPlace, "cannot listen at \(path): \(SystemError.text(-result))")
            }
            listener = EventSource(result, reactor: reactor)
            return
        }
        id = BootstrapNonce.random().text
        // The name is in everybody's sight who may look into the directory; it must not give the id away.
        let name = BootstrapNonce.random().text.prefix(16)
        var tried: [String] = []
        for directory in Self.directories {
            let path = "\(directory)/\(name)"
            var result = martlet_private_directory(directory)
            if result == 0 { result = martlet_socket_listen(path) }
            if result >= 0 {
                (self.directory, self.path) = (directory, path)
                listener = EventSource(result, reactor: reactor)
                return
            }
            tried.append("\(directory): \(SystemError.text(-result))")
        }
        throw MartletError(
            .noPlace, "there is no private place for the socket of a detached context",
            detail: tried.joined(separator: "\n"))
    }

    /// Not `XDG_RUNTIME_DIR` first: it goes with the user's last session.
    static var directories: [String] {
        let own = getenv("XDG_RUNTIME_DIR").map { ["\(String(cString: $0))/martlet"] } ?? []
        return ["/tmp", "/var/tmp", "/dev/shm"].map { "\($0)/martlet-\(geteuid())" } + own
    }

    func start() { try? listener.watch(for: .readable, self) }

    /// Closes the socket and removes it, unless its name is another's by now.
    func close(removingSocket isOurs: Bool = true) {
        if isOurs {
            unlink(path)
            rmdir(directory)
        }
        listener.close()
        for visitor in visitors.withLock({ Array($0.values) }) { visitor.close() }
    }

    func ready(_ readiness: Readiness) {
        while true {
            let descriptor = martlet_socket_accept(listener.descriptor)
            guard descriptor >= 0 else { return }
            let peer = martlet_socket_peer(descriptor)
            let visitor = Visitor(self, EventSource(descriptor, reactor: reactor))
            let hasRoom = visitors.withLock { visitors in
                guard visitors.count < Self.visitorLimit else { return false }
                visitors[ObjectIdentifier(visitor)] = visitor
                return true
            }
            guard hasRoom, peer == Int64(geteuid()) || peer == 0 else {
                visitor.close()
                continue
            }
            visitor.start()
            reactor.schedule(at: Reactor.now + Self.greetingLimit) { visitor.close() }
        }
    }

    private final class Visitor: EventHandler {
        private let detachment: Detachment
        private let source: EventSource
        private let state = Mutex((bytes: [UInt8](), isOver: false))

        init(_ detachment: Detachment, _ source: EventSource) { (self.detachment, self.source) = (detachment, source) }

        func start() {
            if (try? source.watch(for: .readable, self)) == nil { close() }
        }

        func close() { if leave() { source.close() } }

        /// - Returns: `false` if it was done before.
        private func leave() -> Bool {
            detachment.visitors.withLock { $0[ObjectIdentifier(self)] = nil }
            return state.withLock { state in
                defer { state.isOver = true }
                return !state.isOver
            }
        }

        func ready(_ readiness: Readiness) {
            let bytes = state.withLock { state -> [UInt8]? in
                guard !state.isOver else { return nil }
                let missing = Detachment.greetingSize - state.bytes.count
                let part = [UInt8](unsafeUninitializedCapacity: missing) { buffer, count in
                    count = max(0, readBytes(source.descriptor, buffer.baseAddress!, missing))
                }
                state.bytes += part
                // Nothing to read though it was ready: it is at its end.
                return part.isEmpty ? [] : state.bytes
            }
            guard let bytes else { return }
            if bytes.isEmpty { return close() }
            guard bytes.count == Detachment.greetingSize, leave() else { return }
            try? source.watch(for: [], self)
            let id = Array(detachment.id.utf8)
            // In the same time whatever is wrong with it.
            let difference = zip(Detachment.magic + id, bytes).reduce(0) { $0 | ($1.0 ^ $1.1) }
            let nonce = String(decoding: bytes[48...], as: UTF8.self)
            guard difference == 0, BootstrapNonce(nonce) != nil else { return refuse(Detachment.refused) }
            if !detachment.onAttach(source, nonce) { refuse(Detachment.busy) }
        }

        private func refuse(_ why: UInt8) {
            withUnsafeBytes(of: why) { _ = writeBytes(source.descriptor, $0.baseAddress!, 1) }
            source.close()
        }
    }
}
