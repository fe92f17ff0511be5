import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One try to get a child context up: starts the connector's program, follows the bootstrap, and ends with a link to an
/// agent that was welcomed, or with an error and nothing left.
///
///     started ──(stages)──▶ link up ──hello──▶ welcomed
///        └──── end of output, deadline, cancellation, nonsense ────▶ failed
///
/// Everything happens on the polling thread, but for reading the image.
final class ConnectAttempt: EventHandler {
    struct Success: Sendable {
        var number: UInt32
        var address: ContextAddress
        var hello: Hello
        var timings: ConnectTimings
    }

    let connector: any Connector
    let options: ConnectOptions
    /// Answers what the connector's program asks; `nil`: nobody does.
    let ask: PromptAnswering?
    let runtime: ContextRuntime
    let image: ImageStore.Image?
    /// Which builds may answer.
    let builds: Set<String>
    let state: Mutex<State>
    let onProgress: @Sendable (ConnectPhase, Duration) -> Void
    let onNumber: @Sendable (UInt32) -> Void

    struct State {
        var plan: BootstrapPlan
        /// When it is over, in nanoseconds of the reactor's clock.
        var deadline: UInt64
        var phase = ConnectPhase.reach
        var phaseStart = Reactor.now
        var timings = ConnectTimings()
        /// Which of the images the far machine needs.
        var platform = 0
        var lastSend = Reactor.now
        var process: ChildProcess?
        var input: EventSource?
        var output: EventSource?
        var sink: ByteSink?
        var errors: ByteSource?
        var errorLines = LineSplitter()
        var errorTail: [String] = []
        /// What the program in front has said of itself: the first lines.
        var chatter: [String] = []
        var dialogue = PromptDialogue(mark: nil)
        var asking = Launch.Asking.nothing
        var terminal: PseudoTerminal?
        var terminalLines = LineSplitter()
        /// When the program in front last wrote where it asks.
        var lastWord = Reactor.now
        var lookTimer: Reactor.TimerToken?
        /// Waits for an answer.
        var asker: Task<Void, Never>?
        var link: Link?
        var child: ChildContext?
        var exit: ExitStatus?
        /// What a connector has to say of the failure, once known.
        var failure: ConnectorFailure?
        var outputEnded = false
        /// A short cut failed.
        var isWorthCare = false
        var timer: Reactor.TimerToken?
        var result: Result<Success, MartletError>?
        var continuation: UnsafeContinuation<Result<Success, MartletError>, Never>?
    }

    /// - Parameters:
    ///   - image: what to send; `nil` if there is nothing to send.
    ///   - builds: which ones may answer. Default: what is sent, or what this program is.
    init(
        _ connector: any Connector,
        options: ConnectOptions,
        until deadline: UInt64,
        first: FirstStage,
        image: ImageStore.Image?,
        builds: Set<String>? = nil,
        ask: PromptAnswering? = nil,
        runtime: ContextRuntime,
        onNumber: @escaping @Sendable (UInt32) -> Void,
        onProgress: @escaping @Sendable (ConnectPhase, Duration) -> Void
    ) {
        self.connector = connector
        self.options = options
        self.ask = ask
        self.runtime = runtime
        self.image = image
        self.builds = options.script.map { [$0.build] } ?? builds ?? image?.builds ?? [runtime.images.ownBuild]
        self.onNumber = onNumber
        self.onProgress = onProgress
        state = Mutex(State(plan: BootstrapPlan(first: first, runsScript: options.script != nil), deadline: deadline))
    }

    /// Whether the same with ``FirstStage/isCareful`` may succeed.
    var isWorthCare: Bool { state.withLock { $0.isWorthCare } }

    /// What is known after a failure that the connector may understand.
    var failure: ConnectorFailure? { state.withLock { $0.failure } }

    var route: Route { runtime.route.appending(connector.label) }

    /// Runs the attempt to its end.
    func run(_ beginning: Beginning) async -> Result<Success, MartletError> {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.continuation = continuation }
                    return state.result
                }
                if let result {
                    // It was over before it began: what would have been its stream is nobody's.
                    if case .stream(let ends) = beginning { ends.close() }
                    return continuation.resume(returning: result)
                }
                start(beginning)
            }
        } onCancel: {
            fail(MartletError(.misuse, "cancelled", route: route))
        }
    }

    /// How it begins.
    enum Beginning: Sendable {
        case program(SpawnTemplate, Launch.Asking)
        /// There is a byte stream already. Both descriptors are ours.
        case stream(StreamEnds)
    }

    /// What to start, but for the descriptors.
    struct SpawnTemplate: Sendable {
        var path: String
        var arguments: [String]
        var environment: [String]
        var directory: String?
        var nice: Int32 = 0
        /// A local context needs no session of its own.
        var newSession: Bool
    }

    private func start(_ beginning: Beginning) {
        do {
            switch beginning {
            case .program(let template, let asking): try start(template, asking)
            case .stream(let ends): try start(ends)
            }
        } catch {
            fail(MartletError(.connectorFailed, "\(error)", route: route, phase: .reach))
        }
    }

    private func start(_ template: SpawnTemplate, _ asking: Launch.Asking) throws {
        let (input, output, errors) = try (Pipe(), Pipe(), Pipe())
        for pipe in [input, output] { pipe.grow(to: 256 * 1024) }
        defer { for end in [input.readEnd, output.writeEnd, errors.writeEnd] { closeDescriptor(end) } }
        let source = EventSource(output.readEnd, reactor: runtime.reactor)
        let sink = EventSource(input.writeEnd, reactor: runtime.reactor)
        let errorSource = ByteSource(errors.readEnd, reactor: runtime.reactor) { [self] bytes in
            receivedErrors(state.withLock { $0.errorLines.append(bytes) })
            heard()
            return true
        } onEnd: { [self] in
            // A last line without an end is one too.
            receivedErrors(state.withLock { $0.errorLines.finish().map { [$0] } ?? [] })
        }
        let terminal = asking.hasTerminal ? try makeTerminal() : nil
        state.withLock { state in
            state.asking = asking
            state.terminal = terminal
            state.dialogue = PromptDialogue(mark: asking.mark, hasResponder: ask != nil)
        }
        let process = try ChildProcess.spawn(
            SpawnRequest(
                path: template.path,
                arguments: template.arguments,
                environment: template.environment,
                directory: template.directory,
                descriptors: (input.readEnd, output.writeEnd, errors.writeEnd),
                newSession: template.newSession,
                terminal: terminal?.descriptor,
                nice: template.nice
            ),
            reactor: runtime.reactor
        ) { [self] in exited($0) }
        runtime.add(connector: process)
        state.withLock { state in
            state.process = process
            state.errors = errorSource
        }
        try begin(source, sink)
        // Only now: who answers what it asks needs the sink.
        errorSource.resume()
        terminal?.resume()
    }

    private func start(_ ends: StreamEnds) throws {
        // Each direction is watched by itself.
        let source = EventSource(ends.input, reactor: runtime.reactor)
        let output = ends.output == ends.input ? fcntl(ends.input, F_DUPFD_CLOEXEC, 3) : ends.output
        guard output >= 0 else { throw SystemError(errno, "copy a descriptor") }
        try begin(source, EventSource(output, reactor: runtime.reactor))
    }

    private func begin(_ source: EventSource, _ sink: EventSource) throws {
        let isOver = state.withLock { state in
            state.input = source
            state.output = sink
            state.sink = ByteSink(sink)
            state.timer = runtime.reactor.schedule(at: state.deadline) { [self] in deadlinePassed() }
            return state.result != nil
        }
        try source.watch(for: .readable, self)
        if isOver { release() }
    }
}

extension ConnectAttempt.State {
    /// Begins a phase; returns the one that ends, with its time.
    mutating func enter(_ next: ConnectPhase) -> (ConnectPhase, Duration) {
        let now = Reactor.now
        let duration = Duration.nanoseconds(now - phaseStart)
        timings.phases[phase, default: .zero] += duration
        defer { (phase, phaseStart) = (next, now) }
        return (phase, duration)
    }
}

extension ConnectPhase {
    var order: Int {
        switch self {
        case .queue: 0
        case .reach: 1
        case .authenticate: 2
        case .boot: 3
        case .handshake: 4
        }
    }
}
