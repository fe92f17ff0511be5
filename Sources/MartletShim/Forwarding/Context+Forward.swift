public import Martlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

extension Context {
    /// Listens on this machine, and leads each connection to where the context can reach: `ssh -L`.
    ///
    ///     try await web.forwardLocal(.port(0), to: .port(5432, host: "db.internal")) { forwarding in
    ///         try await migrate("localhost", forwarding.port!)
    ///     }
    ///
    /// - Parameters:
    ///   - place: where to listen here. Default: a port of the loopback that is free.
    ///   - target: what the context connects to, once for each connection that comes; names are looked up there.
    ///   - onRefusal: told of each connection that was not made; the one that came is closed then. Default: nothing.
    /// - Throws: what `body` throws; ``MartletError`` `fileFailed` if it cannot listen there. When `body` ends, nothing listens any
    ///   more, and every connection is closed.
    public func forwardLocal<R: Sendable>(
        _ place: ForwardPlace = .port(0), to target: ForwardPlace,
        onRefusal: @escaping @Sendable (Forwarding.Refusal) -> Void = { _ in },
        isolation: isolated (any Actor)? = #isolation, _ body: (Forwarding) async throws -> R
    ) async throws -> R {
        let forwarding = try openLocalForwarding(place, to: target, onRefusal: onRefusal)
        defer { forwarding.close() }
        return try await body(forwarding)
    }

    package func openLocalForwarding(
        _ place: ForwardPlace, to target: ForwardPlace, onRefusal: @escaping @Sendable (Forwarding.Refusal) -> Void
    ) throws -> Forwarding {
        let streams = ForwardedStreams(self, target, onRefusal)
        let listener: PortListener
        do {
            listener = try PortListener(place, reactor: node.reactor) { [streams] descriptor, peer in
                streams.join(descriptor, from: peer, to: .place(target))
            }
        } catch { throw Self.cannotListen(error.description, runtime.route) }
        listener.begin()
        return Forwarding(listener.place, streams) { listener.close() }
    }

    /// Listens there, and leads each connection to what this machine can reach: `ssh -R`. Without a host only the loopback of
    /// the context's machine is listened on, as with sshd's `GatewayPorts no`.
    ///
    /// - Parameters:
    ///   - place: where the context listens. Default: a port of its loopback that is free.
    ///   - target: what this program connects to, once for each connection that comes there.
    ///   - onRefusal: as for ``forwardLocal(_:to:onRefusal:isolation:_:)``.
    /// - Throws: as that; ``MartletError`` `refused` if it cannot listen there, `contextLost`.
    public func forwardRemote<R: Sendable>(
        _ place: ForwardPlace = .port(0), to target: ForwardPlace,
        onRefusal: @escaping @Sendable (Forwarding.Refusal) -> Void = { _ in },
        isolation: isolated (any Actor)? = #isolation, _ body: (Forwarding) async throws -> R
    ) async throws -> R {
        let forwarding = try await openRemoteForwarding(place, to: target, onRefusal: onRefusal)
        defer { forwarding.close() }
        return try await body(forwarding)
    }

    package func openRemoteForwarding(
        _ place: ForwardPlace, to target: ForwardPlace, onRefusal: @escaping @Sendable (Forwarding.Refusal) -> Void,
        onLost: @escaping @Sendable (MartletError) -> Void = { _ in }
    ) async throws -> Forwarding {
        let owner = RemoteListener(self, place, target, ForwardedStreams(self, target, onRefusal), onLost)
        try listen(place, owner)
        let chosen = try await withTaskCancellationHandler {
            try await owner.place()
        } onCancel: {
            owner.close()
        }
        return Forwarding(chosen, owner.streams) { owner.close() }
    }

    static func cannotListen(_ why: String, _ route: Route) -> MartletError {
        MartletError(
            .fileFailed, why, route: route,
            advice: "another program may have it: 'ss -lxnt' shows who listens; port 0 takes one that is free")
    }
}

/// This side of a place where a context listens.
final class RemoteListener: StreamOwner {
    private struct State {
        var key: StreamKey?
        var result: Result<ForwardPlace, any Error>?
        var waiter: CheckedContinuation<ForwardPlace, any Error>?
        var dialers: [UInt64: Dialer] = [:]
        var isOver = false
    }

    let streams: ForwardedStreams
    private let context: Context
    private let wanted: ForwardPlace
    private let target: ForwardPlace
    private let onLost: @Sendable (MartletError) -> Void
    private let state = Mutex(State())

    init(
        _ context: Context, _ wanted: ForwardPlace, _ target: ForwardPlace, _ streams: ForwardedStreams,
        _ onLost: @escaping @Sendable (MartletError) -> Void
    ) {
        (self.context, self.wanted, self.target, self.streams) = (context, wanted, target, streams)
        self.onLost = onLost
    }

    func opened(_ key: StreamKey) { state.withLock { $0.key = key } }

    /// Waits until it listens.
    func place() async throws -> ForwardPlace {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { continuation.resume(with: result) }
        }
    }

    private func settle(_ result: Result<ForwardPlace, any Error>) {
        let waiter = state.withLock { state in
            if state.result == nil { state.result = result }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result)
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        guard kind == .data, let key = state.withLock({ $0.key }) else { return }
        context.node.consumed(key, payload: payload.count)
        switch payload.first {
        case 0 where payload.count == 3:
            var place = wanted
            if case .port(_, let host) = wanted {
                place = .port(UInt16(payload[1]) << 8 | UInt16(payload[2]), host: host)
            }
            settle(.success(place))
        case 1 where payload.count >= 9:
            let number = UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
            let peer = String(decoding: UnsafeRawBufferPointer(rebasing: payload.dropFirst(9)), as: UTF8.self)
            connect(number, peer)
        default: break
        }
    }

    private func connect(_ number: UInt64, _ peer: String) {
        let dialer = Dialer(target, context.runtime) { [self] result in
            state.withLock { $0.dialers[number] = nil }
            switch result {
            case .success(let descriptor): streams.join(descriptor, from: peer, to: .accepted(number))
            case .failure(let failure): dismiss(number, peer, "\(failure.message) [\(context.runtime.route)]")
            }
        }
        let (isOver, isFull) = state.withLock { state in
            // The far side says how many there are: it is held to the bound before anything is opened for it.
            let isFull = state.dialers.count + streams.count >= ForwardedStreams.limit
            if !state.isOver, !isFull { state.dialers[number] = dialer }
            return (state.isOver, isFull)
        }
        if isOver { return }
        if isFull { return dismiss(number, peer, "\(ForwardedStreams.limit) connections are open already") }
        dialer.begin()
    }

    private func dismiss(_ number: UInt64, _ peer: String, _ why: String) {
        if let key = state.withLock({ $0.key }) {
            _ = number.bigEndianBytes.withUnsafeBytes { context.node.sendData(key, $0) }
        }
        streams.refuse(peer, why)
    }

    func wasReset(_ reason: ResetReason) {
        let error =
            reason.code == .refused
            ? MartletError(
                .refused, reason.message, route: context.route,
                advice: "another program may have it there, or it wants root: port 0 takes one that is free")
            : MartletError(
                .contextLost, "the forwarding of \(wanted) has ended: \(reason.message)", route: context.route)
        let wasOpen = state.withLock { state in
            defer { state.isOver = true }
            return state.result != nil && !state.isOver
        }
        settle(.failure(error))
        if wasOpen { onLost(error) }
    }

    func close() {
        let (key, dialers) = state.withLock { state in
            defer { (state.isOver, state.dialers) = (true, [:]) }
            return (state.key, state.dialers.values)
        }
        if let key { context.node.reset(key, ResetReason(.cancelled, "the forwarding has ended")) }
        for dialer in dialers { dialer.cancel() }
        settle(.failure(CancellationError()))
    }
}
