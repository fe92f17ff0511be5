import CMartlet
import DequeModule
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
///                                                  │      ▲                             ▲
///                                               detach  attach                          │
///                                                  ▼      │                             │
///                                                 detached ───────end of the lease──────┘
final class Agent: Sendable {
    /// For all of the ending, in milliseconds; then the kernel ends the process.
    private static let endLimit: UInt32 = 5_000
    /// After this time the code that only starting needs is given back, in nanoseconds.
    private static let settlingTime: UInt64 = 500_000_000
    /// For what is still to be sent then, in nanoseconds.
    private static let lastWordsLimit: UInt64 = 1_000_000_000
    /// How long a parent may take to answer the hello, in nanoseconds.
    private static let welcomeLimit: UInt64 = 30_000_000_000

    let reactor = Reactor.shared
    let state = Mutex(State())

    struct State {
        var runtime: ContextRuntime?
        var link: Link?
        /// The link's other end has said welcome.
        var isWelcome = false
        /// A detach that waits for the parent.
        var leaving: Leaving?
        /// While it is there, or since, the context is detached.
        var detachment: Detachment?
        /// What is printed while there is no parent.
        var ring: OutputRing?
        var lease: Reactor.TimerToken?
        var orphans: Orphans?
        var output: ByteSource?
        /// Standard error, once it is not the parent's any more.
        var error: ByteSource?
        var inheritance = AgentEnvironment.Inheritance()
        /// What was printed, cut into lines.
        var lines = LineSplitter()
        var errorLines = LineSplitter()
        var isEnding = false
    }

    func run() -> Never {
        signal(SIGPIPE, SIG_IGN)
        martlet_keep_tasks { Reactor.shared.enqueue(ExecutorJob(unsafeBitCast($0, to: UnownedJob.self))) }
        MainJobs.begin()
        LogForwarding.begin()
        let nonce = martlet_agent_nonce().map { String(cString: $0) } ?? ""
        let inheritance = AgentEnvironment.cleanUp()
        let (input, output, printed) = AgentEnvironment.moveDescriptors()
        guard sendHello(nonce, output) else { _exit(0) }
        reactor.runForever {
            let orphans = Orphans(reactor) { [self] in
                state.withLock { $0.runtime }?.surroundings ?? .init(own: [], isBusy: false)
            }
            let source = ByteSource(printed, reactor: reactor) { [self] bytes in
                for line in state.withLock({ $0.lines.appendBytes(bytes) }) { keep(.output, line) }
                return takesMore { [self] in resumeOutput() }
            } onEnd: {
            }
            state.withLock { state in
                state.inheritance = inheritance
                state.orphans = orphans
                state.output = source
            }
            join(EventSource(input, reactor: reactor), EventSource(output, reactor: reactor))
        }
    }

    /// Waits for the welcome of a parent to whom the hello was sent.
    func join(_ input: EventSource, _ output: EventSource) {
        let link = Link(
            to: .parent,
            input: input,
            output: output,
            heartbeatLimit: Heartbeat.defaultLimit,
            reactor: reactor,
            onFrame: { [self] in received($0, $1, $2) },
            onEnd: { [self] in parentLost($0, $1) }
        )
        state.withLock { ($0.link, $0.isWelcome) = (link, false) }
        link.start()
        reactor.schedule(at: Reactor.now + Self.welcomeLimit) { [self] in
            if state.withLock({ $0.link === link && !$0.isWelcome }) { link.end(.failed("no welcome")) }
        }
    }

    private func parentLost(_ link: Link, _ end: LinkEnd) {
        let (runtime, isWelcome, isDetached) = state.withLock { state in
            let isDetached = state.ring != nil
            if isDetached, state.link === link { state.link = nil }
            return (state.runtime, state.isWelcome, isDetached)
        }
        guard let runtime else { _exit(0) }
        if !isDetached || isWelcome { runtime.node.lose(.parent, isDetached ? .detached : end) }
        if !isDetached { self.end() }
    }

    /// - Returns: `false` if nobody reads it.
    func sendHello(_ nonce: String, _ descriptor: Int32) -> Bool {
        writeAll(Hello.greeting(nonce: nonce, build: ImageStore(.ownExecutable(id: nil)).ownBuild), to: descriptor) == 0
    }

    // MARK: Frames

    private func received(_ link: Link, _ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        switch header.kind {
        case .welcome: welcomed(link, payload)
        case .goodbye:
            // Who leaves needs no parent.
            guard state.withLock({ $0.ring == nil }) else { return }
            switch Goodbye(payload) {
            case .leaving: released()
            case .after(let limit): drain(within: UInt64(limit) * 1_000_000)
            case .now, .detached: end()
            }
        default:
            guard let runtime = state.withLock({ $0.isWelcome ? $0.runtime : nil }) else {
                return link.end(.violated("a frame before welcome"))
            }
            runtime.node.receive(link, header, payload)
        }
    }

    private func welcomed(_ link: Link, _ payload: UnsafeRawBufferPointer) {
        guard state.withLock({ $0.link === link && !$0.isWelcome && !$0.isEnding }),
            let welcome = try? CBORDecoder().decode(Welcome.self, from: payload)
        else { return link.end(.violated("a welcome that cannot be read")) }
        martlet_set_title(welcome.title)
        if state.withLock({ $0.detachment != nil }) { martlet_set_leased(false) }
        link.setHeartbeatLimit(UInt64(welcome.heartbeatLimit) * 1_000_000)
        let (inheritance, before, orphans) = state.withLock { ($0.inheritance, $0.runtime, $0.orphans) }
        let runtime = ContextRuntime(
            .init(
                address: welcome.address,
                hasParent: true,
                route: welcome.route,
                heartbeatLimit: .milliseconds(welcome.heartbeatLimit),
                images: before?.images
                    ?? ImageStore(
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
            host: .init(
                detach: { [self] in detach($0, $1) },
                keep: { [self] in keep($0, $1) },
                takesMore: { [self] in takesMore(orTell: $0) },
                expectOrphans: { orphans?.expect() }
            ),
            predecessor: before
        )
        runtime.node.attach(link)
        if before == nil, let setup = welcome.setup, let type = _typeByName(setup) as? any AgentSetup.Type {
            type.setUp()
        }
        if let level = runtime.configuration.logLevel { LogForwarding.start(runtime.node, level: level) }
        let (ring, lease, output) = state.withLock { state in
            defer { (state.ring, state.lease, state.runtime, state.isWelcome) = (nil, nil, runtime, true) }
            // Under the lock, so that no later line overtakes.
            if let ring = state.ring { Self.deliver(ring, runtime) }
            return (state.ring, state.lease, state.output)
        }
        if let lease { reactor.cancel(lease) }
        output?.resume()
        if ring == nil { reactor.schedule(at: Reactor.now + Self.settlingTime) { martlet_release_code() } }
    }

    private static func deliver(_ ring: OutputRing, _ runtime: ContextRuntime) {
        if ring.dropped > 0 {
            let note = "martlet: dropped \(ring.dropped) lines of output while nobody was attached"
            runtime.printed(Array(note.utf8), .error)
        }
        for line in ring.lines { runtime.printed(line.bytes, line.pipe) }
    }

    /// Takes a line that was printed here, or by a program whose caller is gone.
    func keep(_ pipe: OutputLine.Pipe, _ line: [UInt8]) {
        let (runtime, isEnding) = state.withLock { state in
            state.ring?.append(.init(pipe: pipe, bytes: line))
            return (state.ring == nil ? state.runtime : nil, state.isEnding)
        }
        runtime?.printed(line, pipe, isLast: isEnding)
    }

    /// Whether who reads lines should go on: not if the controller takes none. So whoever prints waits, unless we end.
    func takesMore(orTell waiter: @escaping @Sendable () -> Void) -> Bool {
        let runtime = state.withLock { $0.ring == nil && !$0.isEnding ? $0.runtime : nil }
        return runtime?.outputForwarder?.hasRoom(orTell: waiter) ?? true
    }

    /// Reads on what is printed here.
    func resumeOutput() {
        let sources = state.withLock { [$0.output, $0.error] }
        for source in sources { source?.resume() }
    }

    // MARK: End

    /// Lets what was printed and what is to be sent go out, for as long as somebody takes it.
    private func lastWords(_ runtime: ContextRuntime) async {
        fflush(nil)
        let link = state.withLock { $0.link }
        let deadline = Reactor.now + Self.lastWordsLimit
        while Reactor.now < deadline, let link, !link.isOver {
            let isPrinted = state.withLock { $0.output?.isEmpty ?? true }
            // A line without an end will not get one any more.
            if isPrinted, let rest = state.withLock({ $0.lines.finishBytes() }) { keep(.output, rest) }
            if isPrinted, isDrained(runtime, link) { break }
            await reactor.sleep(1_000_000)
        }
        link?.sendGoodbye()
    }

    /// Whether all that was sent has left.
    func isDrained(_ runtime: ContextRuntime, _ link: Link) -> Bool {
        runtime.outputForwarder?.isDrained ?? true && LogForwarding.isDrained && link.isDrained
    }

    /// The parent wants this context to go when what it has sent has arrived: takes no more work, waits for that, ends.
    ///
    /// - Parameter limit: in nanoseconds.
    private func drain(within limit: UInt64) {
        let (runtime, link) = state.withLock { ($0.runtime, $0.link) }
        guard let runtime, let link else { return end() }
        runtime.refuseWork(.shuttingDown, "the context is shutting down")
        let deadline = Reactor.now + limit
        // Whatever holds up the task below: what was printed, for one, which may wait for the controller.
        reactor.schedule(at: deadline) { [self] in end() }
        // It ends at its deadline at the latest, and the process after it.
        Task(executorPreference: reactor) { [self] in
            // Not before: it waits for whoever prints, who waits for this thread to read.
            fflush(nil)
            await runtime.drain(until: deadline) {
                let isPrinted = state.withLock { $0.output?.isEmpty ?? true }
                return link.isOver || isPrinted && isDrained(runtime, link)
            }
            end()
        }
    }

    /// The parent is gone, or wants this context to go: ends what runs here, sends what is left to send, exits. Whatever
    /// user code does, the kernel ends the process at the limit, and the guard what it had started.
    func end() {
        let (runtime, isFirst, detachments, orphans) = state.withLock { state in
            defer { (state.isEnding, state.leaving) = (true, nil) }
            return (state.runtime, !state.isEnding, [state.detachment, state.leaving?.detachment], state.orphans)
        }
        guard isFirst else { return }
        guard let runtime else { _exit(0) }
        martlet_kill_self_after(Self.endLimit)
        // Who prints does not wait any more: it would hold up the end.
        resumeOutput()
        for detachment in detachments { detachment?.close() }
        runtime.beginShutdown()
        runtime.node.endAccepted(ResetReason(.shuttingDown, "the context is shutting down"))
        // The process ends with this task.
        Task(executorPreference: reactor) { [self] in
            async let orphansEnded: Void? = orphans?.end(within: 2_500_000_000)
            await runtime.untilGone(tasks: 1_000_000_000)
            await orphansEnded
            // What the programs have left behind as they ended.
            await orphans?.end(within: 300_000_000)
            martlet_guard_stop()
            await lastWords(runtime)
            _exit(0)
        }
    }
}
