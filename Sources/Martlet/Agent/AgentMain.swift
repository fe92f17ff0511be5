import CMartlet
import Logging
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Entered before `main` in a process that was started as an agent; never returns. See `takeover.c`.
@_cdecl("martlet_enter_agent")
func agentMain() {
    Agent().run()
}

/// The code that makes a far process a context.
///
///     started ──hello sent──▶ waiting ──welcome──▶ a context ──parent gone, goodbye──▶ ending ──▶ exit
final class Agent: Sendable {
    /// For all of the ending, in milliseconds; then the kernel ends the process.
    private static let endLimit: UInt32 = 5_000
    /// After this time the code that only starting needs is given back, in nanoseconds.
    private static let settlingTime: UInt64 = 500_000_000
    /// For what is still to be sent then, in nanoseconds.
    private static let lastWordsLimit: UInt64 = 1_000_000_000
    /// How long a parent may take to answer the hello, in nanoseconds.
    private static let welcomeLimit: UInt64 = 30_000_000_000

    private let reactor = Reactor.shared
    private let state = Mutex(State())

    private struct State {
        var runtime: ContextRuntime?
        var link: Link?
        var output: ByteSource?
        var inheritance = AgentEnvironment.Inheritance()
        /// What was printed, cut into lines.
        var lines = LineSplitter()
        var isEnding = false
    }

    func run() -> Never {
        signal(SIGPIPE, SIG_IGN)
        martlet_keep_tasks { Reactor.shared.enqueue(ExecutorJob(unsafeBitCast($0, to: UnownedJob.self))) }
        LogForwarding.begin()
        let nonce = martlet_agent_nonce().map { String(cString: $0) } ?? ""
        let inheritance = AgentEnvironment.cleanUp()
        let (input, output, printed) = AgentEnvironment.moveDescriptors()
        sendHello(nonce, output)
        reactor.runForever {
            let link = Link(
                to: .parent,
                input: EventSource(input, reactor: reactor),
                output: EventSource(output, reactor: reactor),
                heartbeatLimit: Heartbeat.defaultLimit,
                reactor: reactor,
                onFrame: { [self] in received($0, $1, $2, printed) },
                onEnd: { [self] _, end in parentLost(end) }
            )
            state.withLock { state in
                state.link = link
                state.inheritance = inheritance
            }
            link.start()
            reactor.schedule(at: Reactor.now + Self.welcomeLimit) { [self] in
                if state.withLock({ $0.runtime == nil }) { _exit(0) }
            }
        }
    }

    private func parentLost(_ end: LinkEnd) {
        guard let runtime = state.withLock({ $0.runtime }) else { _exit(0) }
        runtime.node.lose(.parent, end)
    }

    private func sendHello(_ nonce: String, _ descriptor: Int32) {
        let hello = Hello(
            oldest: ProtocolVersion.oldest,
            newest: ProtocolVersion.newest,
            build: ImageStore(.ownExecutable(id: nil)).ownBuild,
            nonce: nonce,
            facts: .current()
        )
        let payload = (try? CBOREncoder().encode(hello)) ?? []
        var bytes: [UInt8] = [0] + Array("MARTLET".utf8) + [0] + Array(nonce.utf8)
        bytes += FrameHeader(.hello, payloadCount: payload.count).bytes
        bytes += payload
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { writeBytes(descriptor, $0.baseAddress! + offset, $0.count - offset) }
            if count < 0, errno == EAGAIN {
                // Somebody made it non-blocking; it is ours alone until the link has it.
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = Glibc.poll(&poll, 1, 1000)
            } else if count < 0, errno != EINTR {
                _exit(0)
            } else {
                offset += max(0, count)
            }
        }
    }

    // MARK: Frames

    private func received(
        _ link: Link,
        _ header: FrameHeader,
        _ payload: UnsafeRawBufferPointer,
        _ printed: Int32
    ) {
        switch header.kind {
        case .welcome: welcomed(link, payload, printed)
        case .goodbye: end()
        default:
            guard let runtime = state.withLock({ $0.runtime }) else {
                return link.end(.violated("a frame before welcome"))
            }
            runtime.node.receive(link, header, payload)
        }
    }

    private func welcomed(_ link: Link, _ payload: UnsafeRawBufferPointer, _ printed: Int32) {
        guard state.withLock({ $0.runtime == nil }),
            let welcome = try? CBORDecoder().decode(Welcome.self, from: payload)
        else { return link.end(.violated("a welcome that cannot be read")) }
        martlet_set_title(welcome.title)
        link.setHeartbeatLimit(UInt64(welcome.heartbeatLimit) * 1_000_000)
        let inheritance = state.withLock { $0.inheritance }
        let runtime = ContextRuntime(
            .init(
                address: welcome.address,
                hasParent: true,
                route: welcome.route,
                heartbeatLimit: .milliseconds(welcome.heartbeatLimit),
                images: ImageStore(
                    .ownExecutable(id: welcome.imageID),
                    kept: inheritance.kept,
                    libraryFolder: inheritance.libraryFolder,
                    policy: welcome.policy
                ),
                title: welcome.title,
                logLevel: welcome.logLevel.flatMap(Logger.Level.init(rawValue:)),
                instrumentType: welcome.instrument.flatMap { _typeByName($0) as? any ContextInstrument.Type },
                instrumentName: welcome.instrument,
                setup: welcome.setup
            ),
            reactor: reactor,
            onParentLost: { [self] _ in end() }
        )
        runtime.node.attach(link)
        if let setup = welcome.setup, let type = _typeByName(setup) as? any AgentSetup.Type { type.setUp() }
        if let level = runtime.configuration.logLevel { LogForwarding.start(runtime.node, level: level) }
        let output = ByteSource(printed, reactor: reactor) { [self] bytes in
            for line in state.withLock({ $0.lines.appendBytes(bytes) }) { runtime.printed(line) }
            return true
        } onEnd: {
        }
        state.withLock { state in
            state.runtime = runtime
            state.output = output
        }
        output.resume()
        reactor.schedule(at: Reactor.now + Self.settlingTime) { martlet_release_code() }
    }

    // MARK: End

    /// Lets what was printed and what is to be sent go out, for as long as somebody takes it.
    private func lastWords(_ runtime: ContextRuntime) async {
        fflush(nil)
        let (link, output) = state.withLock { ($0.link, $0.output) }
        let deadline = Reactor.now + Self.lastWordsLimit
        while Reactor.now < deadline, let link, !link.isOver {
            let isPrinted = output?.isEmpty ?? true
            // A line without an end will not get one any more.
            if isPrinted, let rest = state.withLock({ $0.lines.finishBytes() }) { runtime.printed(rest) }
            if isPrinted, runtime.outputForwarder?.isDrained ?? true, LogForwarding.isDrained, link.isDrained {
                break
            }
            await reactor.sleep(1_000_000)
        }
        link?.sendGoodbye()
    }

    /// The parent is gone, or wants this context to go: ends what runs here, sends what is left to send, exits. Whatever
    /// user code does, the kernel ends the process at the limit, and the guard what it had started.
    private func end() {
        let (runtime, isFirst) = state.withLock { state in
            defer { state.isEnding = true }
            return (state.runtime, !state.isEnding)
        }
        guard isFirst else { return }
        guard let runtime else { _exit(0) }
        martlet_kill_self_after(Self.endLimit)
        runtime.beginShutdown()
        runtime.node.endAccepted(ResetReason(.shuttingDown, "the context is shutting down"))
        // The process ends with this task.
        Task(executorPreference: reactor) { [self] in
            await withTaskGroup(of: Void.self) { group in
                for child in runtime.children { group.addTask { await child.close(within: 3_000_000_000) } }
            }
            await runtime.untilProgramsAreGone(within: 3_000_000_000)
            await runtime.untilIdle(within: 1_000_000_000)
            martlet_guard_stop()
            await lastWords(runtime)
            _exit(0)
        }
    }
}
