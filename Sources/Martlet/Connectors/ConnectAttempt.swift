import MartletLink
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

    private let connector: any Connector
    private let options: ConnectOptions
    private let runtime: ContextRuntime
    private let image: ImageStore.Image?
    private let state: Mutex<State>
    private let onProgress: @Sendable (ConnectPhase, Duration) -> Void

    fileprivate struct State {
        var plan: BootstrapPlan
        var phase = ConnectPhase.reach
        var phaseStart = Reactor.now
        var timings = ConnectTimings()
        var lastSend = Reactor.now
        var process: ChildProcess?
        var input: EventSource?
        var output: EventSource?
        var sink: ByteSink?
        var errors: ByteSource?
        var errorLines = LineSplitter()
        var errorTail: [String] = []
        var link: Link?
        var child: ChildContext?
        var childNumber: UInt32?
        var address: ContextAddress?
        var exit: ExitStatus?
        var outputEnded = false
        var timer: Reactor.TimerToken?
        var result: Result<Success, MartletError>?
        var continuation: UnsafeContinuation<Result<Success, MartletError>, Never>?
    }

    /// - Parameter image: what to send; `nil` for a local context.
    init(
        _ connector: any Connector,
        options: ConnectOptions,
        first: FirstStage,
        image: ImageStore.Image?,
        runtime: ContextRuntime,
        onProgress: @escaping @Sendable (ConnectPhase, Duration) -> Void
    ) {
        self.connector = connector
        self.options = options
        self.runtime = runtime
        self.image = image
        self.onProgress = onProgress
        state = Mutex(State(plan: BootstrapPlan(first: first)))
    }

    private var route: Route { runtime.route.appending(connector.label) }

    /// Runs the attempt to its end.
    func run(_ request: SpawnTemplate) async -> Result<Success, MartletError> {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.continuation = continuation }
                    return state.result
                }
                if let result { return continuation.resume(returning: result) }
                start(request)
            }
        } onCancel: {
            fail(MartletError(.misuse, "cancelled", route: route))
        }
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

    private func start(_ template: SpawnTemplate) {
        do {
            let (input, output, errors) = try (Pipe(), Pipe(), Pipe())
            for pipe in [input, output] { pipe.grow(to: 256 * 1024) }
            defer { for end in [input.readEnd, output.writeEnd, errors.writeEnd] { closeDescriptor(end) } }
            let source = EventSource(output.readEnd, reactor: runtime.reactor)
            let sink = EventSource(input.writeEnd, reactor: runtime.reactor)
            let errorSource = ByteSource(errors.readEnd, reactor: runtime.reactor) { [self] bytes in
                receivedErrors(bytes)
                return true
            } onEnd: {
            }
            let process = try ChildProcess.spawn(
                SpawnRequest(
                    path: template.path,
                    arguments: template.arguments,
                    environment: template.environment,
                    directory: template.directory,
                    descriptors: (input.readEnd, output.writeEnd, errors.writeEnd),
                    newSession: template.newSession,
                    nice: template.nice
                ),
                reactor: runtime.reactor
            ) { [self] in exited($0) }
            runtime.add(connector: process)
            let deadline = Reactor.now + options.deadline.clampedNanoseconds
            let timer = runtime.reactor.schedule(at: deadline) { [self] in deadlinePassed() }
            let isOver = state.withLock { state in
                state.process = process
                state.input = source
                state.output = sink
                state.sink = ByteSink(sink)
                state.errors = errorSource
                state.timer = timer
                return state.result != nil
            }
            errorSource.resume()
            try source.watch(for: .readable, self)
            if isOver { release() }
        } catch {
            fail(MartletError(.connectorFailed, "\(error)", route: route, phase: .reach))
        }
    }

    // MARK: What comes

    func ready(_ readiness: Readiness) {
        guard let input = state.withLock({ $0.input }) else { return }
        withUnsafeTemporaryAllocation(byteCount: 64 * 1024, alignment: 16) { buffer in
            let count = readBytes(input.descriptor, buffer.baseAddress!, buffer.count)
            if count > 0 {
                received(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
            } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                try? input.watch(for: [], self)
                state.withLock { $0.outputEnded = true }
                endedIfSettled()
            }
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
        let actions = state.withLock { state in
            let elapsed = Duration.nanoseconds(Reactor.now - state.lastSend)
            return state.plan.received(bytes, elapsed: elapsed)
        }
        perform(actions)
    }

    private func perform(_ actions: [BootstrapPlan.Action]) {
        for action in actions {
            switch action {
            case .chooseImage(let system, let machine):
                enter(.boot)
                let (parts, encodings) = image?.parts(system: system, machine: machine) ?? (nil, [])
                perform(state.withLock { $0.plan.imageChosen(parts, encodings: encodings) })
            case .send(let text):
                send(Array(text.utf8))
            case .sendParts(let indexes, let encoding):
                sendParts(indexes, encoding)
            case .linkUp(let early):
                enter(.handshake)
                linkUp(early)
            case .fail(let failure):
                // How the program in front ends says more than the silence it leaves.
                let isOver = state.withLock { state in
                    state.outputEnded = true
                    return state.exit != nil
                }
                if isOver { fail(error(for: failure)) } else { failWhenSettled(failure) }
            }
        }
    }

    private func send(_ bytes: [UInt8]) {
        let sink = state.withLock { state in
            state.lastSend = Reactor.now
            return state.sink
        }
        sink?.write(bytes)
    }

    private func sendParts(_ indexes: [Int], _ encoding: PartEncoding) {
        guard let image else { return }
        // Reading and compressing may block: that is a job's business. It ends by itself; if the attempt is over by then,
        // the sink drops what it gets.
        Task(executorPreference: runtime.reactor) { [self] in
            do {
                let bytes = try await image.content(of: indexes, encoding)
                state.withLock { state in
                    state.timings.wasCached = false
                    state.timings.bytesSent += bytes.count
                }
                send(Array(SecondStage.dataLine(encoding: encoding, byteCount: bytes.count).utf8))
                send(bytes)
            } catch {
                fail(MartletError(.imageUnusable, "the image cannot be read: \(error)", route: route, phase: .boot))
            }
        }
    }

    private func receivedErrors(_ bytes: UnsafeRawBufferPointer) {
        let (lines, child) = state.withLock { state in (state.errorLines.append(bytes), state.child) }
        for line in lines {
            if let phase = connector.phase(after: line) { enter(phase) }
            if connector.isNoise(line) { continue }
            if let child {
                runtime.childWrote(line, child)
            } else {
                state.withLock { state in
                    state.errorTail.append(line)
                    if state.errorTail.count > 100 { state.errorTail.removeFirst() }
                }
            }
        }
    }

    private func enter(_ phase: ConnectPhase) {
        let left = state.withLock { state -> (ConnectPhase, Duration)? in
            guard state.child == nil, phase.order > state.phase.order else { return nil }
            return state.enter(phase)
        }
        if let left { onProgress(left.0, left.1) }
    }

    // MARK: The link

    private func linkUp(_ early: [UInt8]) {
        let (input, output, sink) = state.withLock { ($0.input, $0.output, $0.sink) }
        guard let input, let output, sink != nil, let (number, address) = runtime.node.addChild() else {
            return fail(MartletError(.limitExceeded, "the tree of contexts is too deep", route: route, phase: .handshake))
        }
        try? input.watch(for: [], self)
        let link = Link(
            to: .child(number),
            input: input,
            output: output,
            heartbeatLimit: runtime.configuration.heartbeatLimit.clampedNanoseconds,
            reactor: runtime.reactor,
            onFrame: { [self] link, header, payload in receivedFrame(link, header, payload) },
            onEnd: { [self] _, end in linkEnded(number, end) }
        )
        state.withLock { state in
            state.link = link
            state.childNumber = number
            state.address = address
            // Both belong to the link now.
            (state.input, state.output, state.sink) = (nil, nil, nil)
        }
        link.start(early: early)
    }

    private func receivedFrame(_ link: Link, _ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        if header.kind == .hello { return receivedHello(link, payload) }
        guard state.withLock({ $0.child != nil }) else { return link.end(.violated("a \(header.kind) before hello")) }
        if header.kind == .goodbye { return link.end(.closed) }
        runtime.node.receive(link, header, payload)
    }

    private func receivedHello(_ link: Link, _ payload: UnsafeRawBufferPointer) {
        let (address, number, isFirst, nonce) = state.withLock {
            ($0.address, $0.childNumber, $0.child == nil, $0.plan.first.nonce)
        }
        guard let address, let number, isFirst else { return link.end(.violated("a second hello")) }
        let hello: Hello
        do { hello = try CBORDecoder().decode(Hello.self, from: payload) } catch {
            return fail(MartletError(.handshakeFailed, "the agent's hello cannot be read: \(error)", route: route, phase: .handshake))
        }
        guard let version = ProtocolVersion.common(with: hello) else {
            return fail(
                MartletError(
                    .handshakeFailed,
                    "the agent speaks protocol \(hello.oldest)-\(hello.newest), this program \(ProtocolVersion.oldest)-\(ProtocolVersion.newest)",
                    route: route,
                    phase: .handshake,
                    advice: "build the image and this program from the same version of Martlet, and clean the far cache"
                )
            )
        }
        let expected = image?.builds ?? [runtime.images.ownBuild]
        guard hello.nonce == nonce.text, expected.contains(hello.build) else {
            return fail(
                MartletError(
                    .handshakeFailed,
                    "the agent is build \(hello.build), not \(expected.sorted().joined(separator: " or "))",
                    route: route,
                    phase: .handshake,
                    advice: "clean the far cache: martlet clean HOST"
                )
            )
        }
        let welcome = Welcome(
            version: version,
            address: address,
            route: route,
            title: options.title ?? runtime.configuration.title,
            heartbeatLimit: runtime.configuration.heartbeatLimit.clampedMilliseconds,
            imageID: image?.id ?? runtime.images.ownID,
            policy: options.policy
        )
        guard let bytes = try? CBOREncoder().encode(welcome), let process = state.withLock({ $0.process }) else { return }
        let child = ChildContext(
            number: number,
            label: connector.label,
            link: link,
            process: process,
            reactor: runtime.reactor
        )
        let success = state.withLock { state -> (Success, ConnectPhase, Duration)? in
            guard state.result == nil else { return nil }
            state.child = child
            let (left, duration) = state.enter(.handshake)
            let success = Success(number: number, address: address, hello: hello, timings: state.timings)
            state.result = .success(success)
            return (success, left, duration)
        }
        guard let (success, left, duration) = success else { return link.end(.finished) }
        runtime.add(child)
        runtime.node.attach(link)
        bytes.withUnsafeBytes { link.send(FrameHeader(.welcome, payloadCount: bytes.count), $0) }
        onProgress(left, duration)
        deliver(.success(success))
    }

    private func linkEnded(_ number: UInt32, _ end: LinkEnd) {
        if state.withLock({ $0.child != nil }) {
            runtime.node.lose(.child(number), end)
        } else {
            runtime.node.lose(.child(number), end)
            fail(MartletError(.handshakeFailed, "\(end)", route: route, phase: .handshake))
        }
    }

    // MARK: Failure

    private func exited(_ status: ExitStatus) {
        let (child, process) = state.withLock { state in
            state.exit = status
            return (state.child, state.process)
        }
        if let process { runtime.ended(process) }
        if let child {
            child.processEnded()
            // Nothing can come any more; what came is read first.
            runtime.reactor.schedule(at: Reactor.now + 100_000_000) { child.link.end(.closed) }
            return
        }
        // Its last words may still be in the pipes.
        runtime.reactor.schedule(at: Reactor.now + 50_000_000) { [self] in
            state.withLock { $0.outputEnded = true }
            endedIfSettled()
        }
    }

    private func endedIfSettled() {
        let actions = state.withLock { state -> [BootstrapPlan.Action]? in
            guard state.child == nil, state.link == nil, state.outputEnded else { return nil }
            return state.plan.ended()
        }
        if let actions { perform(actions) }
    }

    private func failWhenSettled(_ failure: BootstrapFailure) {
        runtime.reactor.schedule(at: Reactor.now + 300_000_000) { [self] in fail(error(for: failure)) }
        let sink = state.withLock { $0.sink }
        sink?.finish()
    }

    private func deadlinePassed() {
        let (phase, isOver) = state.withLock { ($0.phase, $0.result != nil) }
        guard !isOver else { return }
        fail(
            MartletError(
                .connectTimedOut,
                "not connected within \(options.deadline)",
                route: route,
                phase: phase,
                detail: tail(),
                advice: ConnectDiagnosis.advice(forTimeoutIn: phase)
            )
        )
    }

    private func tail() -> String? {
        let lines = state.withLock { $0.errorTail + ($0.errorLines.finish().map { [$0] } ?? []) }
        return lines.isEmpty ? nil : lines.suffix(20).joined(separator: "\n")
    }

    private func error(for failure: BootstrapFailure) -> MartletError {
        let (phase, exit, lines) = state.withLock { ($0.phase, $0.exit, $0.errorTail) }
        let code: Int32? = if case .exited(let code)? = exit { code } else { nil }
        let known = ConnectorFailure(phase: phase, lines: lines, exitCode: code)
        if var error = connector.diagnose(known) {
            error.route = route
            return error
        }
        return ConnectDiagnosis.error(failure, phase: phase, exit: exit, lines: lines, route: route)
    }

    private func fail(_ error: MartletError) {
        let isFirst = state.withLock { state in
            guard state.result == nil else { return false }
            state.result = .failure(error)
            return true
        }
        guard isFirst else { return }
        release()
        deliver(.failure(error))
    }

    /// Ends all that the attempt has started.
    private func release() {
        let (process, input, output, sink, errors, link, timer) = state.withLock { state in
            defer { (state.input, state.output, state.sink) = (nil, nil, nil) }
            return (state.process, state.input, state.output, state.sink, state.errors, state.link, state.timer)
        }
        if let timer { runtime.reactor.cancel(timer) }
        input?.close()
        sink?.close()
        output?.close()
        link?.end(.finished)
        errors?.close()
        process?.end(grace: 500_000_000)
    }

    private func deliver(_ result: Result<Success, MartletError>) {
        let (continuation, timer) = state.withLock { state in
            defer { state.continuation = nil }
            return (state.continuation, state.timer)
        }
        if let timer { runtime.reactor.cancel(timer) }
        continuation?.resume(returning: result)
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
    fileprivate var order: Int {
        switch self {
        case .queue: 0
        case .reach: 1
        case .authenticate: 2
        case .boot: 3
        case .handshake: 4
        }
    }
}
