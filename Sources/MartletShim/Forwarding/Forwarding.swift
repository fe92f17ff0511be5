public import Martlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// A port or socket that leads through a context, as long as its scope is open.
public final class Forwarding: Sendable {
    /// What became of a connection that came.
    public struct Refusal: Sendable, CustomStringConvertible {
        /// Who it was from: `127.0.0.1:51234`; empty for a Unix socket.
        public var peer: String
        /// Where it was to go.
        public var target: ForwardPlace
        /// Who could not reach it, and why.
        public var reason: String

        /// `connection from 127.0.0.1:51234 to db:5432: db:5432: Connection refused [local → ssh:web]`.
        public var description: String {
            "connection\(peer.isEmpty ? "" : " from \(peer)") to \(target): \(reason)"
        }
    }

    /// Where it listens, with the port that was chosen if it was to be any.
    public let place: ForwardPlace
    /// The connections that are open.
    public var connections: Int { streams.count }

    let streams: ForwardedStreams
    private let end: @Sendable () -> Void

    init(_ place: ForwardPlace, _ streams: ForwardedStreams, end: @escaping @Sendable () -> Void) {
        (self.place, self.streams, self.end) = (place, streams, end)
    }

    /// The port on which it listens; `nil` for a Unix socket.
    public var port: UInt16? { if case .port(let port, _) = place { port } else { nil } }

    /// Nothing listens any more, and every connection is closed.
    package func close() {
        end()
        streams.close()
    }
}

/// The connections of one forwarding.
final class ForwardedStreams: Sendable {
    /// How many there may be at once.
    static let limit = 1024

    private struct State {
        var streams: [ObjectIdentifier: SocketStream] = [:]
        var isOver = false
    }

    private let context: Context
    private let target: ForwardPlace
    private let onRefusal: @Sendable (Forwarding.Refusal) -> Void
    private let state = Mutex(State())

    init(_ context: Context, _ target: ForwardPlace, _ onRefusal: @escaping @Sendable (Forwarding.Refusal) -> Void) {
        (self.context, self.target, self.onRefusal) = (context, target, onRefusal)
    }

    var count: Int { state.withLock { $0.streams.count } }

    /// Joins a connection, whose descriptor it takes over, with a stream.
    func join(_ descriptor: Int32, from peer: String, to dialled: DialTarget) {
        guard count < Self.limit else {
            closeDescriptor(descriptor)
            return refuse(peer, "\(Self.limit) connections are open already")
        }
        let stream = SocketStream(context.node) { [weak self] stream, refusal in
            guard let self else { return }
            forget(stream)
            if let refusal { refuse(peer, "\(refusal.message) [\(context.route)]") }
        }
        let isOver = state.withLock { state in
            if !state.isOver { state.streams[ObjectIdentifier(stream)] = stream }
            return state.isOver
        }
        guard !isOver else { return closeDescriptor(descriptor) }
        // It is read when the other end says that it is connected.
        stream.attach(descriptor)
        do {
            try context.dial(dialled, stream)
            // It may have been ended before there was anything to reset.
            if stream.isOver { stream.end(ResetReason(.cancelled, "the forwarding has ended")) }
        } catch {
            stream.end(ResetReason(.contextLost, "\(error)"))
            refuse(peer, "\(error)")
        }
    }

    private func forget(_ stream: SocketStream) { state.withLock { $0.streams[ObjectIdentifier(stream)] = nil } }

    func refuse(_ peer: String, _ reason: String) {
        if state.withLock({ $0.isOver }) { return }
        onRefusal(Forwarding.Refusal(peer: peer, target: target, reason: reason))
    }

    func close() {
        let streams = state.withLock { state in
            state.isOver = true
            return Array(state.streams.values)
        }
        for stream in streams { stream.end(ResetReason(.cancelled, "the forwarding has ended")) }
    }
}
