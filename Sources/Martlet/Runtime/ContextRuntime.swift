import CMartlet
import Logging
import MartletLink
package import MartletReactor
import MartletWire
import Synchronization

/// Everything that one process is as a context: its place in the tree, the children that it started, the programs and
/// tasks that run in it. The controller and every agent have one.
package final class ContextRuntime: ContextScope {
    /// What differs between the contexts of one tree.
    struct Configuration: Sendable {
        var address = ContextAddress.root
        var hasParent = false
        var route = Route()
        var heartbeatLimit = Duration.seconds(15)
        var images: ImageStore
        var title: String
        /// Which log records contexts send to the controller; `nil`: none.
        var logLevel: Logger.Level?
        /// What wants to know of connects and calls here; `nil` in agents.
        var instrument: (any ContextInstrument)?
        /// Of what type the controller's is: calls carry what it says, also from context to context.
        var instrumentType: (any ContextInstrument.Type)?
        /// What the agents below are to look for.
        var instrumentName: String?
        /// How the program's ``AgentSetup`` is found there.
        var setup: String?
        /// Answers what is asked on the way to a context, unless the connect names another.
        var prompts: (any PromptResponder)?
        /// Where lines go that contexts below print; agents pass theirs on instead.
        var onOutput: (@Sendable (ContextOutput) -> Void)?
        /// What a guest's tasks find here: see ``GuestContext``.
        var provided: (any Sendable)?
    }

    /// What a runtime asks of the agent that it belongs to; the controller has none.
    struct Host: Sendable {
        /// Makes ready to live on without a parent for so many nanoseconds, says where it will wait, and leaves.
        var detach: @Sendable (UInt64, @escaping @Sendable (Result<DetachedPlace, MartletError>) -> Void) -> Void
        /// Takes a line of a program that has lost its caller.
        var keep: @Sendable (OutputLine.Pipe, [UInt8]) -> Void
        /// Whether who reads such lines should go on reading. If not, the closure is called once when it should.
        var takesMore: @Sendable (@escaping @Sendable () -> Void) -> Bool
        /// Something begins that may leave processes behind.
        var expectOrphans: @Sendable () -> Void
    }

    let configuration: Configuration
    package let reactor: Reactor
    let host: Host?
    /// What this process was as a context before it was detached; what began there goes on.
    let predecessor: ContextRuntime?
    // Set once, before anybody else can see this object: the node's closures need `self`.
    nonisolated(unsafe) package private(set) var node: ContextNode!
    /// Passes on what is printed here and by children; the controller has none.
    nonisolated(unsafe) private(set) var outputForwarder: OutputForwarder?
    let state = Mutex(State())
    private let connects = ConnectPacer()
    let channels = ChannelOffers()
    let forwards = AcceptedConnections()
    let resources = ResourceOffers()
    package let capabilities = Capabilities()
    let companions = Mutex<(any ContextCompanion)?>(nil)
    let logs = LogIntake.make()
    /// What hands lines to the program's handler; agents pass theirs on instead.
    let outputs: MessageIntake?
    private let started = Reactor.now

    struct State {
        var children: [UInt32: ChildContext] = [:]
        var programs: [ObjectIdentifier: ChildProcess] = [:]
        /// The programs in front of children: they end with their children's links.
        var connectors: [ObjectIdentifier: ChildProcess] = [:]
        /// How the contexts below are called, for people.
        var routes = RouteNames(limit: keptRoutes)
        var busy = 0
        /// What this process is to other controllers.
        var guests: [ObjectIdentifier: GuestContext] = [:]
        /// Tasks that nobody waits for.
        var posted: [ObjectIdentifier: IncomingCall] = [:]
        var isShuttingDown = false
        /// Why no more work is taken.
        var refusal: StreamRefusal?
    }

    /// - Parameter onParentLost: in an agent, called when the link to the parent has ended.
    init(
        _ configuration: Configuration,
        reactor: Reactor,
        host: Host? = nil,
        predecessor: ContextRuntime? = nil,
        onParentLost: @escaping @Sendable (LinkEnd) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.reactor = reactor
        self.host = host
        self.predecessor = predecessor
        outputs = configuration.onOutput.map(OutputIntake.make)
        node = ContextNode(
            address: configuration.address,
            hasParent: configuration.hasParent,
            reactor: reactor,
            acceptor: { [unowned self] in accept($1, $2, $3, $4) },
            onLost: { [unowned self] _, neighbour, end in
                switch neighbour {
                case .parent: onParentLost(end)
                case .child(let number): childLost(number, end)
                }
            }
        )
        if configuration.onOutput == nil, configuration.hasParent {
            outputForwarder = OutputForwarder(node)
        }
    }

    package var route: Route { configuration.route }
    var runtime: ContextRuntime { self }
    var images: ImageStore { configuration.images }
    var pacer: ConnectPacer { connects }

    // MARK: Streams that others open

    private func accept(
        _ key: StreamKey,
        _ kind: StreamKind,
        _ payload: UnsafeRawBufferPointer,
        _ flags: FrameHeader.Flags
    ) -> Result<any AcceptedStreamOwner, StreamRefusal> {
        switch kind {
        // These bring what there is already.
        case .channel, .output, .log: break
        default: if let refusal = state.withLock({ $0.refusal }) { return .failure(refusal) }
        }
        switch kind {
        case .call:
            return .success(IncomingCall(key, payload, isComplete: !flags.contains(.more), scope: self))
        case .echo:
            guard payload.count <= IncomingEcho.limit else {
                return .failure(StreamRefusal(.limitExceeded, "an echo of more than \(IncomingEcho.limit) bytes"))
            }
            return .success(IncomingEcho(key, payload, node: node))
        case .command:
            return read(payload, "command") { IncomingCommand(key, $0, runtime: self) }
        case .connect:
            return read(payload, "connect") { IncomingConnect(key, $0, self) }
        case .disconnect:
            return read(payload, "disconnect") { IncomingDisconnect(key, $0, self) }
        case .detach:
            return read(payload, "detach") { (request: IncomingDetach.Request) throws(StreamRefusal) in
                guard host != nil else { throw StreamRefusal(.refused, "this context cannot be detached") }
                return IncomingDetach(key, request, self)
            }
        case .channel:
            return channels.accept(key, payload, runtime: self).map { $0 }
        case .invoke:
            return capabilities.accept(key, payload, isComplete: !flags.contains(.more), self).map { $0 }
        case .status:
            return .success(IncomingStatus(key, runtime: self))
        case .fetch:
            do throws(StreamRefusal) { return .success(try IncomingFetch(key, payload, runtime: self)) } catch {
                return .failure(error)
            }
        case .join: return acceptJoin(key, payload)
        case .dial: return acceptDial(key, payload)
        case .listen:
            do throws(StreamRefusal) { return .success(try IncomingListen(key, payload, self)) } catch {
                return .failure(error)
            }
        case .log:
            guard !configuration.hasParent else {
                return .failure(StreamRefusal(.refused, "only the controller takes logs"))
            }
            return .success(IncomingMessages(key, logs, runtime: self))
        case .output:
            guard let outputs else {
                return .failure(StreamRefusal(.refused, "only the controller takes output"))
            }
            return .success(IncomingMessages(key, outputs, runtime: self))
        }
    }

    /// The owner of a stream that `open` brings a request for.
    private func read<Request: Decodable>(
        _ payload: UnsafeRawBufferPointer,
        _ what: String,
        _ owner: (Request) throws(StreamRefusal) -> any AcceptedStreamOwner
    ) -> Result<any AcceptedStreamOwner, StreamRefusal> {
        let request: Request
        do { request = try CBORDecoder().decode(Request.self, from: payload) } catch {
            return .failure(StreamRefusal(.protocolViolation, "a \(what) that cannot be read: \(error)"))
        }
        do { return .success(try owner(request)) } catch { return .failure(error) }
    }

    // MARK: Tasks and programs

    func taskStarted() {
        state.withLock { $0.busy += 1 }
        host?.expectOrphans()
    }

    func taskEnded() { state.withLock { $0.busy -= 1 } }

    /// Takes note of a call that nobody waits for, so that it is cancelled when the context ends.
    func keep(_ call: IncomingCall) {
        let isLate = state.withLock { state in
            if !state.isShuttingDown { state.posted[ObjectIdentifier(call)] = call }
            return state.isShuttingDown
        }
        if isLate { call.cancel() }
    }

    func forget(_ call: IncomingCall) { state.withLock { $0.posted[ObjectIdentifier(call)] = nil } }

    /// What runs here now.
    var status: ContextStatus {
        let (tasks, children) = state.withLock { ($0.busy, $0.children.count) }
        return ContextStatus(
            running: others.reduce(tasks) { $0 + $1.status.running }, openChannels: channels.openStreams,
            openStreams: node.openStreams, children: children,
            uptime: .nanoseconds(Int64(Reactor.now - started)))
    }

    var isBusy: Bool { state.withLock { $0.busy > 0 } || others.contains(where: \.isBusy) }

    /// The processes that this context has started and reaps, and whether it is doing something.
    var surroundings: Orphans.Surroundings {
        let (programs, connectors, busy) = state.withLock {
            (Array($0.programs.values), Array($0.connectors.values), $0.busy)
        }
        let ours = Orphans.Surroundings(
            own: Set((programs + connectors).map(\.pid)), isBusy: busy > 0 || programs.contains(where: \.isAlive))
        return others.map(\.surroundings).reduce(into: ours) { all, other in
            all.own.formUnion(other.own)
            all.isBusy = all.isBusy || other.isBusy
        }
    }

    package func add(_ program: ChildProcess) {
        let id = ObjectIdentifier(program)
        state.withLock { $0.programs[id] = program }
        // It needs nobody's care once its last process has gone.
        program.whenGone { [weak self] in _ = self?.state.withLock { $0.programs.removeValue(forKey: id) } }
        host?.expectOrphans()
    }

    func add(connector: ChildProcess) {
        let id = ObjectIdentifier(connector)
        state.withLock { $0.connectors[id] = connector }
        connector.whenGone { [weak self] in _ = self?.state.withLock { $0.connectors.removeValue(forKey: id) } }
    }

    /// A line that this context's own code printed.
    ///
    /// - Parameter isLast: the context is ending, and whoever printed it does not wait for room.
    func printed(_ line: [UInt8], _ pipe: OutputLine.Pipe = .output, isLast: Bool = false) {
        outputForwarder?.send(pipe, node.address, line, mayDrop: isLast, isLast: isLast)
    }

    /// A line that came out of a child's standard error, beside the link: its writer cannot wait, as the link's own program
    /// may be it.
    func childWrote(_ line: String, _ child: ChildContext) {
        guard let address = node.address.child(child.number) else { return }
        guard let outputs else {
            outputForwarder?.send(.error, address, Array(line.utf8), mayDrop: true)
            return
        }
        for message in OutputForwarder.messages(.error, address, Array(line.utf8)) {
            message.withUnsafeBytes { outputs.add($0, isData: false, nil, from: child.number, self) }
        }
    }

    var allStarted: [ChildProcess] {
        state.withLock { Array($0.programs.values) + Array($0.connectors.values) } + others.flatMap(\.allStarted)
    }

    /// What else this process is as a context.
    private var others: [ContextRuntime] {
        let guests = state.withLock { Array($0.guests.values) }
        return guests.compactMap(\.runtime) + (predecessor.map { [$0] } ?? [])
    }

    /// - Returns: `false` if there are too many, or this context ends.
    func add(_ guest: GuestContext) -> Bool {
        state.withLock { state in
            guard !state.isShuttingDown, state.guests.count < GuestDoor.guestLimit else { return false }
            state.guests[ObjectIdentifier(guest)] = guest
            return true
        }
    }

    func left(_ guest: GuestContext) { state.withLock { $0.guests[ObjectIdentifier(guest)] = nil } }

    // MARK: Children

    func add(_ child: ChildContext) {
        // Before it can send anything.
        if let address = node.address.child(child.number) { note(route.appending(child.label), of: address) }
        state.withLock { $0.children[child.number] = child }
    }

    func child(_ number: UInt32) -> ChildContext? { state.withLock { $0.children[number] } }
    var children: [ChildContext] { state.withLock { Array($0.children.values) } }

    /// How long what has come may take to be handed to the program's handlers when the controller closes, in nanoseconds.
    private static let intakeLimit: UInt64 = 5_000_000_000

    /// Waits until the program's handlers of output and logs have had all that has come, for as long as that may take.
    func drainIntakes() async {
        async let logsDrained: Void = logs.drain(within: Self.intakeLimit, reactor)
        await outputs?.drain(within: Self.intakeLimit, reactor)
        await logsDrained
    }

    func note(_ route: Route, of address: ContextAddress) { state.withLock { $0.routes.note(route, of: address) } }

    /// How many contexts that are gone are still called by their names.
    package static let keptRoutes = 1024

    /// A context and all below it are gone, so their names are kept no longer than others come to go.
    func retireRoutes(below address: ContextAddress) { state.withLock { $0.routes.retire(below: address) } }

    /// How many contexts are called by a name. For tests.
    var routeCount: Int { state.withLock { $0.routes.count } }

    /// How a context below is called; what was never connected from here is called by its address.
    func route(to address: ContextAddress) -> Route {
        state.withLock { $0.routes[address] } ?? route.appending("\(address)")
    }

    private func childLost(_ number: UInt32, _ end: LinkEnd) {
        let child = state.withLock { $0.children.removeValue(forKey: number) }
        if child != nil, !end.isWanted { configuration.instrument?.contextLost(route.appending(child!.label)) }
        if end.isDetached, let child, !letGo(child) { child.process?.end(grace: 500_000_000) }
        child?.linkEnded(end)
        if let address = node.address.child(number) {
            retireRoutes(below: address)
            resources.forget(below: address)
        }
    }

    /// A child says goodbye, or that it is about to.
    func said(_ goodbye: Goodbye, _ child: ChildContext) {
        switch goodbye {
        case .leaving:
            letGo(child)
            child.link.sendGoodbye(.leaving)
        case .detached: child.link.end(.detached)
        case .now, .after: child.link.end(.finished)
        }
    }

    /// Neither we nor the guard end a child any more that lives on by itself, if the program in front of it is the child.
    @discardableResult
    private func letGo(_ child: ChildContext) -> Bool {
        var process = martlet_process()
        guard let program = child.process, martlet_read_process(program.pid, &process), process.is_leased else {
            return false
        }
        program.release()
        child.processEnded()
        return true
    }
}
