import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// What a process is to another controller beside its own, or the one that it is itself: a context in that one's tree as well,
/// where its tasks find what the process has for them. What runs for it ends with its connection.
///
///     said hello ──welcome──▶ a context ──parent gone, goodbye──▶ ending ──▶ over
final class GuestContext: Sendable {
    private struct State {
        var link: Link?
        var runtime: ContextRuntime?
    }

    private let reactor: Reactor
    private let images: ImageStore
    private let host: ContextRuntime.Host?
    private let provided: (any Sendable)?
    private let onEnd: @Sendable (GuestContext) -> Void
    private let state = Mutex(State())

    /// How long the other end may take to answer the hello, in nanoseconds.
    private static let welcomeLimit: UInt64 = 10_000_000_000

    /// - Parameters:
    ///   - images: this process's own.
    ///   - host: the agent that this process is; `nil`: none.
    ///   - provided: what tasks find here.
    ///   - onEnd: called once, when nothing of it runs any more.
    init(
        _ reactor: Reactor, images: ImageStore, host: ContextRuntime.Host? = nil, provided: (any Sendable)? = nil,
        onEnd: @escaping @Sendable (GuestContext) -> Void
    ) {
        (self.reactor, self.images, self.host, self.provided) = (reactor, images, host, provided)
        self.onEnd = onEnd
    }

    /// What runs here for it.
    var runtime: ContextRuntime? { state.withLock { $0.runtime } }

    /// Takes a connection over.
    func begin(_ source: EventSource, nonce: String) {
        writeAll(Hello.greeting(nonce: nonce, build: images.ownBuild), to: source.descriptor)
        let link = Link(
            to: .parent,
            input: source,
            output: source,
            heartbeatLimit: Heartbeat.defaultLimit,
            reactor: reactor,
            onFrame: { [self] in received($0, $1, $2) },
            onEnd: { [self] in ended($1) }
        )
        state.withLock { $0.link = link }
        link.start()
        reactor.schedule(at: Reactor.now + Self.welcomeLimit) { [weak self] in
            guard let link = self?.state.withLock({ $0.runtime == nil ? $0.link : nil }) else { return }
            link.end(.failed("no welcome"))
        }
    }

    func close() {
        let link = state.withLock { $0.link }
        link?.sendGoodbye()
        link?.end(.finished)
    }

    private func received(_ link: Link, _ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        let runtime = state.withLock { $0.runtime }
        switch header.kind {
        case .welcome: runtime == nil ? welcomed(link, payload) : link.end(.violated("a second welcome"))
        case .goodbye: link.end(.finished)
        default:
            guard let runtime else { return link.end(.violated("a frame before welcome")) }
            runtime.node.receive(link, header, payload)
        }
    }

    private func welcomed(_ link: Link, _ payload: UnsafeRawBufferPointer) {
        guard let welcome = try? CBORDecoder().decode(Welcome.self, from: payload) else {
            return link.end(.violated("a welcome that cannot be read"))
        }
        link.setHeartbeatLimit(UInt64(welcome.heartbeatLimit) * 1_000_000)
        let runtime = ContextRuntime(
            .init(
                address: welcome.address,
                hasParent: true,
                route: welcome.route,
                heartbeatLimit: .milliseconds(welcome.heartbeatLimit),
                images: images,
                title: welcome.title,
                provided: provided
            ),
            reactor: reactor,
            host: host
        )
        runtime.node.attach(link)
        state.withLock { $0.runtime = runtime }
    }

    private func ended(_ end: LinkEnd) {
        let runtime = state.withLock { state -> ContextRuntime? in
            state.link = nil
            return state.runtime
        }
        guard let runtime else { return onEnd(self) }
        runtime.node.lose(.parent, end)
        runtime.beginShutdown()
        runtime.node.endAccepted(ResetReason(.shuttingDown, "the connection has ended"))
        // It ends when all that it started has, by these limits; then nobody is left to wait for it.
        Task(executorPreference: reactor) { [self] in
            await withTaskGroup(of: Void.self) { group in
                for child in runtime.children { group.addTask { await child.close(within: 3_000_000_000) } }
            }
            await runtime.untilProgramsAreGone(within: 3_000_000_000)
            await runtime.untilIdle(within: 5_000_000_000)
            state.withLock { $0.runtime = nil }
            onEnd(self)
        }
    }
}
