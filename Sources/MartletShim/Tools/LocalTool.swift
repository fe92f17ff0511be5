import Martlet
import MartletReactor
import Synchronization

/// A program on this machine, with pipes.
final class LocalTool: Sendable {
    private struct State {
        var process: ChildProcess?
        var status: ExitStatus?
        var chunks: [(OutputLine.Pipe, [UInt8])] = []
        var openPipes = 0
        /// What came from each pipe after its exit, in bytes.
        var drained = [0, 0]
        var isCancelled = false
        var timedOut = false
        var inputError: (any Error)?
        var waiter: UnsafeContinuation<Void, Never>?
    }

    private let runtime: ContextRuntime
    private let state = Mutex(State())
    private let sources = Mutex<[ByteSource]>([])
    private let inputGate = CreditGate()
    /// What it leaves running may hold its pipes: so long they are still read, in nanoseconds.
    private static let drainLimit: UInt64 = 250_000_000
    /// The most that a pipe holds, unless root has made it larger, in bytes.
    private static let pipeSize = 1_048_576

    init(_ runtime: ContextRuntime) { self.runtime = runtime }

    func run(
        _ arguments: [String], _ options: CommandOptions, _ onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult {
        let name = arguments.joined(separator: " ")
        let started = Reactor.now
        let sink: ByteSink
        do { sink = try start(arguments, options) } catch {
            throw MartletError(
                .commandNotStarted, "\(error)", route: runtime.route,
                advice: "is \(arguments.first ?? "it") installed here?")
        }
        var collector = OutputCollector(limit: options.outputLimit, splitsLines: onLine != nil)
        let timer = options.timeout.map { timeout in
            runtime.reactor.schedule(at: started + timeout.clampedNanoseconds) { [self] in
                state.withLock { $0.timedOut = $0.status == nil }
                end(options)
            }
        }
        defer {
            if let timer { runtime.reactor.cancel(timer) }
            let sources = sources.withLock { sources in
                defer { sources = [] }
                return sources
            }
            for source in sources { source.close() }
            sink.close()
        }
        do {
            try await withTaskCancellationHandler {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { [self] in
                        do { try await feed(options.input, sink) } catch {
                            state.withLock { $0.inputError = error }
                            end(options)
                        }
                    }
                    defer {
                        group.cancelAll()
                        inputGate.open()
                    }
                    while let (pipe, bytes) = await next() {
                        for line in collector.append(pipe, bytes) { try await onLine?(line) }
                    }
                }
            } onCancel: {
                state.withLock { $0.isCancelled = true }
                end(options)
            }
            for line in collector.finish() { try await onLine?(line) }
        } catch {
            end(options)
            while await next() != nil {}
            throw error
        }
        try Task.checkCancellation()
        if let error = state.withLock({ $0.inputError }), !(error is CancellationError) { throw error }
        let (status, timedOut) = state.withLock { ($0.status, $0.timedOut) }
        let termination: Termination
        switch status {
        case _ where timedOut: termination = .timedOut(after: options.timeout ?? .zero)
        case .signalled(let number): termination = .signalled(number)
        case .exited(let code): termination = .exited(code)
        case nil: termination = .exited(255)
        }
        return CommandResult(
            command: name, termination: termination, standardOutput: collector.output, standardError: collector.error,
            isTruncated: collector.isTruncated, duration: .nanoseconds(Int64(Reactor.now - started)),
            route: runtime.route)
    }

    private func end(_ options: CommandOptions) {
        state.withLock { $0.process }?.end(grace: options.killGrace.clampedNanoseconds)
    }

    private func start(_ arguments: [String], _ options: CommandOptions) throws(SystemError) -> ByteSink {
        var environment = ProcessEnvironment.current
        for (name, value) in options.environment { environment[name] = value }
        let path = try ProgramSearch.find(
            arguments.first ?? "", path: environment["PATH"], directory: options.directory)
        var pipes: [Pipe] = []
        do throws(SystemError) {
            for _ in 0..<3 { pipes.append(try Pipe()) }
            let process = try ChildProcess.spawn(
                SpawnRequest(
                    path: path, arguments: arguments, environment: environment.strings, directory: options.directory,
                    descriptors: (pipes[0].readEnd, pipes[1].writeEnd, pipes[2].writeEnd),
                    nice: Int32(clamping: options.nice)),
                reactor: runtime.reactor
            ) { [self] status in exited(status) }
            runtime.add(process)
            state.withLock { ($0.process, $0.openPipes) = (process, 2) }
        } catch {
            for pipe in pipes { pipe.close() }
            throw error
        }
        for end in [pipes[0].readEnd, pipes[1].writeEnd, pipes[2].writeEnd] { closeDescriptor(end) }
        let sources = [OutputLine.Pipe.output, .error].enumerated().map { index, pipe in
            ByteSource(pipes[index + 1].readEnd, reactor: runtime.reactor) { [self] bytes in
                let bytes = Array(bytes)
                change { state in
                    state.chunks.append((pipe, bytes))
                    if state.status != nil { state.drained[index] += bytes.count }
                }
                return false
            } onEnd: { [self] in
                change { $0.openPipes -= 1 }
            }
        }
        self.sources.withLock { $0 = sources }
        return ByteSink(pipes[0].writeEnd, reactor: runtime.reactor) { [inputGate] _ in inputGate.open() }
    }

    private func exited(_ status: ExitStatus) {
        change { $0.status = status }
        drain()
    }

    private func drain() {
        runtime.reactor.schedule(at: Reactor.now + Self.drainLimit) { [self] in
            // Who reads slowly still gets all that it wrote. What is behind a whole pipe is by who was left running.
            let drained = state.withLock { $0.drained }
            let isDone = sources.withLock { sources in
                zip(sources, drained).allSatisfy { source, count in source.isEmpty || count >= Self.pipeSize }
            }
            if isDone { change { $0.openPipes = 0 } } else { drain() }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// What it wrote next; `nil` when it has ended and all is read.
    private func next() async -> (CommandPipe, ArraySlice<UInt8>)? {
        while true {
            let (chunk, isOver) = state.withLock { state in
                (state.chunks.isEmpty ? nil : state.chunks.removeFirst(), state.openPipes <= 0 && state.status != nil)
            }
            if let (pipe, bytes) = chunk { return (pipe == .output ? .output : .error, bytes[...]) }
            if isOver { return nil }
            for source in sources.withLock({ $0 }) { source.resume() }
            await withUnsafeContinuation { continuation in
                let isNow = state.withLock { state in
                    let isNow = !state.chunks.isEmpty || (state.openPipes <= 0 && state.status != nil)
                    if !isNow { state.waiter = continuation }
                    return isNow
                }
                if isNow { continuation.resume() }
            }
        }
    }

    private func feed(_ input: CommandInput, _ sink: ByteSink) async throws {
        defer { sink.finish() }
        switch input {
        case .none: break
        case .bytes(let bytes): sink.write(bytes)
        case .text(let text): sink.write(Array(text.utf8))
        case .chunks(let chunks):
            for try await chunk in chunks where !chunk.isEmpty {
                let generation = inputGate.generation
                sink.write(chunk)
                await inputGate.wait(since: generation)
                if Task.isCancelled { return }
            }
        }
    }
}
