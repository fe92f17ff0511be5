package import MartletLink
import MartletReactor
import MartletWire
import Synchronization

extension ContextRuntime {
    /// The owner of a stream that wants a connection of this context.
    func acceptDial(
        _ key: StreamKey, _ payload: UnsafeRawBufferPointer
    ) -> Result<any AcceptedStreamOwner, StreamRefusal> {
        guard let target = DialTarget(payload) else {
            return .failure(StreamRefusal(.protocolViolation, "a connection to nothing that can be read"))
        }
        let dialer = Locked<Dialer?>(nil)
        let stream = SocketStream(node, key) { [unowned self] stream in
            switch target {
            case .accepted(let number):
                guard let descriptor = forwards.claim(number) else {
                    return stream.end(ResetReason(.refused, "that connection is gone"))
                }
                stream.attach(descriptor)
            case .place(let place):
                let new = Dialer(place, self) { result in
                    dialer.withLock { $0 = nil }
                    switch result {
                    case .success(let descriptor): stream.attach(descriptor)
                    case .failure(let failure): stream.end(ResetReason(.refused, failure.message))
                    }
                }
                dialer.withLock { $0 = new }
                new.begin()
            }
        } onEnd: { _, _ in
            let old = dialer.withLock { dialer in
                defer { dialer = nil }
                return dialer
            }
            old?.cancel()
        }
        return .success(stream)
    }
}

/// Connections that came to where a context listens, and that nobody has taken yet.
final class AcceptedConnections: Sendable {
    private let state = Mutex<(last: UInt64, waiting: [UInt64: (descriptor: Int32, owner: IncomingListen)])>((0, [:]))

    func add(_ descriptor: Int32, _ owner: IncomingListen) -> UInt64 {
        state.withLock { state in
            state.last += 1
            state.waiting[state.last] = (descriptor, owner)
            return state.last
        }
    }

    /// `nil` if it was taken, or waited too long.
    func claim(_ number: UInt64) -> Int32? {
        guard let (descriptor, owner) = state.withLock({ $0.waiting.removeValue(forKey: number) }) else { return nil }
        owner.taken(number)
        return descriptor
    }
}

/// The side of a forwarding where the context listens: it tells of each connection, and the opener comes to take it.
final class IncomingListen: AcceptedStreamOwner {
    private struct State {
        var listener: PortListener?
        var waiting: [UInt64: Reactor.TimerToken] = [:]
        var isOver = false
    }

    private let key: StreamKey
    private let place: ForwardPlace
    private let runtime: ContextRuntime
    private let state = Mutex(State())

    /// How many may wait to be taken, and for how long, in nanoseconds.
    private static let limit = 256
    private static let patience: UInt64 = 30_000_000_000

    init(_ key: StreamKey, _ payload: UnsafeRawBufferPointer, _ runtime: ContextRuntime) throws(StreamRefusal) {
        guard let place = ForwardPlace(payload) else {
            throw StreamRefusal(.protocolViolation, "a place to listen that cannot be read")
        }
        self.key = key
        self.place = place
        self.runtime = runtime
    }

    func begin() {
        do throws(SystemError) {
            let listener = try PortListener(place, reactor: runtime.reactor) { [self] in accepted($0, $1) }
            let isOver = state.withLock { state in
                if !state.isOver { state.listener = listener }
                return state.isOver
            }
            if isOver { return listener.close() }
            var port: UInt16 = 0
            if case .port(let chosen, _) = listener.place { port = chosen }
            say([0, UInt8(port >> 8), UInt8(port & 0xff)])
            listener.begin()
        } catch {
            runtime.node.reset(key, ResetReason(.refused, error.description))
        }
    }

    @discardableResult
    private func say(_ bytes: [UInt8]) -> Bool {
        if case .sent = bytes.withUnsafeBytes({ runtime.node.sendData(key, $0) }) { true } else { false }
    }

    private func accepted(_ descriptor: Int32, _ peer: String) {
        let number = runtime.forwards.add(descriptor, self)
        let timer = runtime.reactor.schedule(at: Reactor.now + Self.patience) { [self] in drop(number) }
        let isTaken = state.withLock { state in
            state.waiting[number] = timer
            return !state.isOver && state.waiting.count <= Self.limit
        }
        if !isTaken || !say([1] + number.bigEndianBytes + Array(peer.utf8)) { drop(number) }
    }

    private func drop(_ number: UInt64) {
        if let descriptor = runtime.forwards.claim(number) { closeDescriptor(descriptor) }
    }

    /// It is somebody's now.
    func taken(_ number: UInt64) {
        if let timer = state.withLock({ $0.waiting.removeValue(forKey: number) }) { runtime.reactor.cancel(timer) }
    }

    /// The opener does not want a connection.
    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        if kind == .end {
            close()
            runtime.node.sendEnd(key)
        } else {
            runtime.node.consumed(key, payload: payload.count)
            if payload.count == 8 { drop(UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self))) }
        }
    }

    func wasReset(_ reason: ResetReason) { close() }

    private func close() {
        let (listener, waiting) = state.withLock { state in
            defer { (state.isOver, state.listener) = (true, nil) }
            return (state.listener, state.waiting.keys)
        }
        listener?.close()
        for number in waiting { drop(number) }
    }
}

extension Context {
    /// Opens a stream that joins with a connection there.
    ///
    /// - Throws: ``MartletError`` `contextLost`.
    package func dial(_ target: DialTarget, _ owner: any StreamOwner) throws {
        try open(.dial, target.wire, owner)
    }

    /// Opens a stream by which the context listens. What comes: 0 and the port (2 bytes) first; then, for each connection, 1, its
    /// number (8 bytes) and who it is from. The number sent back says that nobody will take it.
    ///
    /// - Throws: as ``dial(_:_:)``.
    package func listen(_ place: ForwardPlace, _ owner: any StreamOwner) throws {
        try open(.listen, place.wire, owner)
    }

    private func open(_ kind: StreamKind, _ payload: [UInt8], _ owner: any StreamOwner) throws {
        guard node.open(to: address, kind, owner: owner, payload: payload, flags: .bulk) != nil else {
            throw MartletError(.contextLost, "the context is not connected any more", route: route)
        }
    }
}
