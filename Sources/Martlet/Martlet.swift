import CMartlet
public import Logging
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How a Martlet scope is to behave. All of it has defaults.
public struct MartletOptions: Sendable {
    /// What is sent to other machines. Default: this program itself.
    public var images = ImageSet.ownExecutable
    /// How long a context may be silent before it counts as lost, though its link is still there. Default: 15 s.
    public var heartbeatLimit = Duration.seconds(15)
    /// What `ps` shows for the contexts, unless their connect says otherwise. Default: `martlet:USER@HOST:PID`.
    public var title: String?
    /// Which records of swift-log contexts send to this program's logging system, where they arrive with their label, level,
    /// metadata and source, and with the context's route as metadata `context`: those of this level and above. Loggers
    /// there may set levels of their own; loggers here then judge by theirs. `nil`: none. Default: the level that a logger
    /// named `martlet` has when the scope begins.
    public var logLevel: Logger.Level? = Logger(label: "martlet").logLevel
    /// Answers what programs on the way to a context ask: ssh a password, sudo too. Default: nobody, and what would ask fails
    /// with an error that says so.
    public var prompts: (any PromptResponder)?
    /// What wants to know of connects and calls, and what goes with them; see `MartletTelemetry`. Default: nothing, and then
    /// nothing is paid.
    public var instrument: (any ContextInstrument)?
    /// What every context does before its first task, such as to bootstrap swift-metrics or swift-distributed-tracing: `main`
    /// does not run there. The type must be found by its name, as tasks are. Default: nothing.
    public var agentSetup: (any AgentSetup.Type)?
    /// Gets each line that contexts print, one after the other. It may block, as on a pager that is stopped: calls and all
    /// else go on, and whoever prints in a context waits, once about half a mebibyte of its lines is under way; no line is
    /// lost. (What the program in front of a context, such as ssh, says on its standard error cannot wait: of that so much is
    /// kept, and a line tells how many were dropped.) When the scope ends it gets what has come, for at most 5 s. Default:
    /// lines go to this program's standard output or error, with the context's name in front.
    public var onOutput: @Sendable (ContextOutput) -> Void = { ContextOutput.print($0) }

    /// The defaults.
    public init() {}
}

/// What contexts do before their first task. See ``MartletOptions/agentSetup``.
public protocol AgentSetup: SendableMetatype {
    /// Called once in every context. It must not wait for anything.
    static func setUp()
}

/// Which executables are sent to other machines.
public struct ImageSet: Sendable {
    let source: ImageStore.Source

    /// This program itself, with the libraries that it needs if it is dynamically linked.
    public static let ownExecutable = ImageSet(source: .ownExecutable(id: nil))

    /// Executables of programs that have Martlet in them, one for each platform: ELF files tell for which they are.
    public static func executables(_ paths: [String]) -> ImageSet { ImageSet(source: .files(paths)) }
}

/// Runs `body` with a controller, from which contexts are connected. When `body` ends, however it ends, every context and
/// everything that was started in them is ended and waited for.
///
/// The body runs on Martlet's own executor, wherever the caller runs: a call must not pass through the main actor.
///
/// - Throws: what `body` throws.
public func withMartlet<R: Sendable>(
    _ options: MartletOptions = .init(),
    _ body: @Sendable @concurrent (Controller) async throws -> R
) async throws -> R {
    if martlet_is_agent() {
        // The take-over before main failed or was bypassed: going on would run the controller's code on a far machine.
        fatalError(
            "withMartlet was entered in a process that was started as an agent: nothing may run before the agent")
    }
    return try await withTaskExecutorPreference(Reactor.shared) {
        let controller = Controller(options)
        do {
            let result = try await body(controller)
            await controller.close()
            return result
        } catch {
            await controller.close()
            throw error
        }
    }
}

/// The controller: the context at the root of the tree. See ``withMartlet(_:_:)``.
public final class Controller: Sendable {
    let runtime: ContextRuntime
    /// Scopes that are open in this process: the guard is theirs together.
    private static let openScopes = Mutex(0)

    init(_ options: MartletOptions) {
        Self.openScopes.withLock { $0 += 1 }
        signal(SIGPIPE, SIG_IGN)
        let facts = Facts.current()
        runtime = ContextRuntime(
            .init(
                heartbeatLimit: options.heartbeatLimit,
                images: ImageStore(options.images.source),
                title: options.title ?? "martlet:\(facts.user)@\(facts.hostname):\(facts.processID)",
                logLevel: options.logLevel,
                instrument: options.instrument,
                instrumentType: options.instrument.map { type(of: $0) },
                instrumentName: options.instrument.map { Self.name(of: type(of: $0), "instrument") },
                setup: options.agentSetup.map { Self.name(of: $0, "agentSetup") },
                prompts: options.prompts,
                onOutput: options.onOutput
            ),
            reactor: .shared
        )
    }

    private static func name(of type: any Any.Type, _ option: String) -> String {
        guard let name = _mangledTypeName(type), _typeByName(name) == type else {
            preconditionFailure(
                "\(option): \(type) cannot be found by its name in contexts: make it internal or public, outside of any function"
            )
        }
        return name
    }

    /// Starts a context.
    ///
    /// - Parameters:
    ///   - prompts: answers what the way in asks. Default: ``MartletOptions/prompts``.
    ///   - onPhase: told as each phase of the connect is over, with its time.
    /// - Throws: ``MartletError`` that names the phase, the route, and what the far side said; `CancellationError`.
    public func connect(
        _ connector: some Connector,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        let route = runtime.route.appending(connector.label)
        let responder = prompts ?? runtime.configuration.prompts
        let success = try await runtime.observingConnect(route, onPhase) { [runtime] in
            try await runtime.connect(connector, options, ask: responder?.answering, onProgress: $0)
        }
        return Context(
            address: success.address,
            route: route,
            facts: success.hello.facts,
            timings: success.timings,
            runtime: runtime
        )
    }

    /// Runs `body` with a context that ends when `body` does.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)``, and what `body` throws.
    public func withContext<R>(
        _ connector: some Connector,
        options: ConnectOptions = .init(),
        _ body: (Context) async throws -> R
    ) async throws -> R {
        let context = try await connect(connector, options: options)
        return try await context.closing(body)
    }

    /// Ends every context in good order, all at once: see ``Context/shutdown(deadline:)``.
    public func shutdown(deadline: Duration) async {
        await runtime.closeChildren(within: deadline.clampedNanoseconds, drains: true)
    }

    /// Ends every context; those that do not end in time are made to.
    func close() async {
        runtime.beginShutdown()
        // The tasks are actors' here, of which the callers are gone.
        await runtime.untilGone(children: 5_000_000_000, tasks: 1_000_000_000)
        await runtime.drainIntakes()
        Self.openScopes.withLock { scopes in
            scopes -= 1
            if scopes == 0 { martlet_guard_stop() }
        }
    }
}

extension RemoteContext {
    /// Starts a context below this one, from within a task. It lives until it is closed or this context ends.
    ///
    /// - Parameter prompts: answers, in this context, what the way in asks. Default: nobody does.
    /// - Throws: as ``Controller/connect(_:options:prompts:onPhase:)``.
    public func connect(
        _ connector: some Connector,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil
    ) async throws -> Context {
        let runtime = scope.runtime
        let route = runtime.route.appending(connector.label)
        let success = try await runtime.observingConnect(route, nil) {
            try await runtime.connect(connector, options, ask: prompts?.answering, onProgress: $0)
        }
        return Context(
            address: success.address,
            route: route,
            facts: success.hello.facts,
            timings: success.timings,
            runtime: runtime
        )
    }
}

extension ContextOutput {
    /// Prints the line to standard output or error, as it was there, with the context's name in front.
    public static func print(_ output: ContextOutput) {
        let line = Array("[\(output.route.steps.joined(separator: " "))] ".utf8) + output.bytes + [0x0a]
        writeAll(line, to: output.pipe == .output ? 1 : 2)
    }
}
