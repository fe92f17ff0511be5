import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// What a process is to another controller beside its own, or the one that it is itself: a context in that one's tree as well,
/// where its tasks find what the process has for them. What runs for it ends with its connection.
///
///     said hello ──welcome──▶ a context ──goodbye──▶ draining, if told ──▶ ending ──nothing runs──▶ over
///                                   └───────────────parent gone─────────────▲
final class GuestContext: Sendable {
    private struct State {
        var link: Link?
        var runtime: ContextRuntime?
        var isEnding = false
    }

    private let reactor: Reactor
    private let images: ImageStore
    private let host: ContextRuntime.Host?
    private let provided: (any Sendable)?
    private let onEnd: @Sendable (GuestContext) -> Void
    private let state = Mutex(State())

    /// How long the other end may take to answer the hello, in nanoseconds.
    private static let welcomeLimit: UInt64 = 10_000_000_000
    /// How long the other end may take what is left to send, in nanoseconds.
    private static let lastWordsLimit: UInt64 = 1_000_000_000

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
        case .goodbye: runtime.map { left($0, link, Goodbye(payload)) } ?? link.end(.finished)
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

    /// Who leaves in good order waits until nothing of it runs here any more.
    private func left(_ runtime: ContextRuntime, _ link: Link, _ goodbye: Goodbye) {
        guard case .after(let limit) = goodbye else { return end(runtime) }
        runtime.refuseWork(.shuttingDown, "the context is shutting down")
        let deadline = Reactor.now + UInt64(limit) * 1_000_000
        // It ends at its deadline.
        Task(executorPreference: reactor) { [self] in
            await runtime.drain(until: deadline) { link.isOver || link.isDrained }
            end(runtime)
        }
    }

    private func ended(_ linkEnd: LinkEnd) {
        let runtime = state.withLock { state -> ContextRuntime? in
            state.link = nil
            return state.runtime
        }
        guard let runtime else { return onEnd(self) }
        runtime.node.lose(.parent, linkEnd)
        end(runtime)
    }

    private func end(_ runtime: ContextRuntime) {
        let isFirst = state.withLock { state in
            defer { state.isEnding = true }
            return !state.isEnding
        }
        guard isFirst else { return }
        runtime.beginShutdown()
        runtime.node.endAccepted(ResetReason(.shuttingDown, "the connection has ended"))
        // It ends when all that it started has, by these limits; then nobody is left to wait for it.
        Task(executorPreference: reactor) { [self] in
            await runtime.untilGone(tasks: 5_000_000_000)
            await lastWords()
            state.withLock { $0.runtime = nil }
            onEnd(self)
        }
    }

    /// Lets what is left to send go out, for as long as somebody takes it.
    private func lastWords() async {
        guard let link = state.withLock({ $0.link }) else { return }
        let deadline = Reactor.now + Self.lastWordsLimit
        link.sendGoodbye()
        while Reactor.now < deadline, !link.isDrained { await reactor.sleep(1_000_000) }
        link.end(.finished)
    }
}
