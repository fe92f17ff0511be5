import CMartlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The way to a detached context on this machine: from its socket on, it is a child as any other.
struct DetachedConnector: Connector {
    var place: DetachedPlace
    /// Whose it is: nobody else may answer.
    var userID: UInt32
    /// How it is called on the route. Default: by its socket.
    var name: String?

    var label: String { name ?? "detached:" + (place.socket.split(separator: "/").last ?? "").prefix(8) }

    func launch(_ bootstrap: Bootstrap) throws -> Launch {
        throw MartletError(.misuse, "a detached context is not started by a command")
    }
}

/// One try to take a detached context up again. Ends with a link to it, or with an error and nothing left.
final class AttachAttempt: EventHandler {
    private let connector: DetachedConnector
    private let options: ConnectOptions
    private let runtime: ContextRuntime
    private let onNumber: @Sendable (UInt32) -> Void
    private let nonce = BootstrapNonce.random()
    private let state = Mutex(State())

    private struct State {
        var source: EventSource?
        var greeting: [UInt8] = []
        var link: Link?
        var child: ChildContext?
        var timings = ConnectTimings()
        var timer: Reactor.TimerToken?
        var result: Result<ConnectAttempt.Success, MartletError>?
        var continuation: UnsafeContinuation<Result<ConnectAttempt.Success, MartletError>, Never>?
    }

    /// - Parameter onNumber: as ``ContextRuntime/connect(_:_:onNumber:onProgress:)``.
    init(
        _ connector: DetachedConnector, _ options: ConnectOptions, _ runtime: ContextRuntime,
        onNumber: @escaping @Sendable (UInt32) -> Void
    ) {
        self.onNumber = onNumber
        self.connector = connector
        self.options = options
        self.runtime = runtime
    }

    private var route: Route { runtime.route.appending(connector.label) }

    /// - Parameter deadline: in nanoseconds of the reactor's clock.
    func run(until deadline: UInt64) async -> Result<ConnectAttempt.Success, MartletError> {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.continuation = continuation }
                    return state.result
                }
                if let result { return continuation.resume(returning: result) }
                let timer = runtime.reactor.schedule(at: deadline) { [self] in
                    fail(.connectTimedOut, "the detached context did not answer within \(options.deadline)")
                }
                state.withLock { $0.timer = timer }
                start()
            }
        } onCancel: {
            fail(.misuse, "cancelled")
        }
    }

    private func start() {
        let path = connector.place.socket
        let descriptor = martlet_socket_connect(path)
        guard descriptor >= 0 else { return unreachable(-descriptor, path) }
        let source = EventSource(descriptor, reactor: runtime.reactor)
        // The id is for the context's own user alone.
        let peer = martlet_socket_peer(descriptor)
        guard peer == Int64(connector.userID) else {
            source.close()
            return fail(.refused, "the socket \(path) belongs to user \(peer), not to the context's")
        }
        let greeting = Detachment.magic + Array(connector.place.id.utf8) + Array(nonce.text.utf8)
        let written = greeting.withUnsafeBytes { writeBytes(descriptor, $0.baseAddress!, $0.count) }
        guard written == greeting.count else {
            source.close()
            return fail(.unreachable, "the detached context does not take anything")
        }
        let isOver = state.withLock { state in
            if state.result == nil { state.source = source }
            return state.result != nil
        }
        if isOver || (try? source.watch(for: .readable, self)) == nil { source.close() }
    }

    private func unreachable(_ error: Int32, _ path: String) {
        switch error {
        // Nobody listens: it has ended without the time to clean up.
        case ECONNREFUSED, ENOENT:
            _ = path.withCString { martlet_socket_forget($0) }
            fail(
                .leaseEnded, "there is no such detached context: its lease has ended, or the machine was restarted",
                advice: "connect anew; next time detach for longer")
        case EACCES:
            fail(
                .refused, "the detached context belongs to another user",
                advice: "attach as the user who detached it")
        default:
            fail(.unreachable, "the detached context cannot be reached: \(SystemError.text(error))")
        }
    }

    // MARK: The socket, until the agent speaks

    func ready(_ readiness: Readiness) {
        guard let source = state.withLock({ $0.source }) else { return }
        let bytes = [UInt8](unsafeUninitializedCapacity: 16 * 1024) { buffer, count in
            count = max(0, readBytes(source.descriptor, buffer.baseAddress!, 16 * 1024))
        }
        let greeting = state.withLock { state in
            state.greeting += bytes
            return state.greeting
        }
        let marker = nonce.helloMarker
        switch greeting.first {
        case Detachment.refused?:
            fail(.refused, "the detached context does not know this id", advice: "use the value that detach returned")
        case Detachment.busy?:
            fail(
                .refused, "another controller is attached to this context",
                advice: "wait until it has detached the context again")
        default:
            guard !bytes.isEmpty else { return fail(.handshakeFailed, "the detached context closed the connection") }
            guard greeting.starts(with: marker.prefix(greeting.count)) else {
                return fail(.handshakeFailed, "what listens there is no detached context")
            }
            if greeting.count >= marker.count { linkUp(source, Array(greeting[marker.count...])) }
        }
    }

    private func linkUp(_ source: EventSource, _ early: [UInt8]) {
        guard let handshake = ChildHandshake(runtime) else {
            return fail(.limitExceeded, "the tree of contexts is too deep")
        }
        try? source.watch(for: [], self)
        let link = handshake.link(
            source, source,
            child: { [self] in state.withLock { $0.child } },
            onHello: { [self] link, payload in receivedHello(handshake, link, payload) },
            onEnd: { [self] end in
                runtime.node.lose(.child(handshake.number), end)
                fail(.handshakeFailed, "\(end)")
            }
        )
        state.withLock { ($0.link, $0.source) = (link, nil) }
        link.start(early: early)
    }

    private func receivedHello(_ handshake: ChildHandshake, _ link: Link, _ payload: UnsafeRawBufferPointer) {
        guard
            let (hello, version) = try? ChildHandshake.read(payload, nonce: nonce, builds: [runtime.images.ownBuild])
        else {
            return fail(
                .handshakeFailed, "the detached context is of another build of the program",
                advice: "attach with the build that detached it")
        }
        guard let welcome = handshake.welcome(version: version, route: route, options: options) else { return }
        let child = ChildContext(
            number: handshake.number, label: connector.label, link: link, process: nil, reactor: runtime.reactor)
        let success = state.withLock { state -> ConnectAttempt.Success? in
            guard state.result == nil else { return nil }
            state.child = child
            let success = ConnectAttempt.Success(
                number: handshake.number, address: handshake.address, hello: hello, timings: state.timings)
            state.result = .success(success)
            return success
        }
        guard let success else { return link.end(.finished) }
        onNumber(handshake.number)
        handshake.admit(child, welcome)
        deliver(.success(success))
    }

    // MARK: End

    private func fail(_ code: MartletError.Code, _ message: String, advice: String? = nil) {
        let error = MartletError(code, message, route: route, phase: .handshake, advice: advice)
        let (isFirst, source, link) = state.withLock { state in
            guard state.result == nil else { return (false, nil as EventSource?, nil as Link?) }
            state.result = .failure(error)
            return (true, state.source, state.link)
        }
        guard isFirst else { return }
        source?.close()
        link?.end(.finished)
        deliver(.failure(error))
    }

    private func deliver(_ result: Result<ConnectAttempt.Success, MartletError>) {
        let (continuation, timer) = state.withLock { state in
            defer { state.continuation = nil }
            return (state.continuation, state.timer)
        }
        if let timer { runtime.reactor.cancel(timer) }
        continuation?.resume(returning: result)
    }
}
