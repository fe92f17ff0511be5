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

/// The side of a command where the program runs: everything happens on the polling thread, no task is needed.
///
/// Output is read only while there is credit, so a slow reader stops the program, not this process's memory.
final class IncomingCommand: AcceptedStreamOwner {
    /// What one message carries, in bytes, and with three pipes.
    static let chunk = 32_000
    static let smallChunk = 21_000
    /// How long output may still come after the program has ended, if something it left behind holds the pipe.
    private static let drainLimit: UInt64 = 250_000_000
    /// The most that a pipe holds, unless root has made it larger, in bytes.
    private static let pipeSize = 1_048_576

    let key: StreamKey
    let request: CommandRequest
    let runtime: ContextRuntime
    let started = Reactor.now
    let state = Mutex(State())

    struct State {
        var process: ChildProcess?
        var output: ByteSource?
        var error: ByteSource?
        /// What a program that was sent says over its connection.
        var items: ByteSource?
        var input: ByteSink?
        /// The controlling side of the program's terminal, ours to close.
        var terminal: Int32?
        /// Takes input first.
        var intake: ImageIntake?
        var openPipes = 0
        var status: ExitStatus?
        /// What each pipe gave since the program has ended, in bytes.
        var drained: [CommandPipe: Int] = [:]
        var timedOut = false
        var isOver = false
        /// The caller has gone, and the program goes on: its lines are kept.
        var lines: [CommandPipe: LineSplitter]?
        var timers: [Reactor.TimerToken] = []
        var drainTimer: Reactor.TimerToken?
    }

    init(_ key: StreamKey, _ request: CommandRequest, runtime: ContextRuntime) {
        self.key = key
        self.request = request
        self.runtime = runtime
    }

    func begin() {
        runtime.taskStarted()
        guard let wanted = request.image else { return attempt { () throws(SystemError) in try start() } }
        if let image = runtime.images.sent.find(wanted.id) { return begin(image) }
        attempt { () throws(SystemError) in
            let intake = try ImageIntake(wanted, runtime) { [runtime, key] in
                runtime.node.consumed(key, payload: $0)
            } onEnd: { [self] result in
                state.withLock { $0.intake = nil }
                attempt { () throws(SystemError) in
                    let image = try result.get()
                    runtime.images.sent.keep(image, wanted.id)
                    begin(image)
                }
            }
            state.withLock { $0.intake = intake }
            say(intake.wish)
        }
    }

    private func begin(_ image: SentImage) {
        say(.nothing)
        attempt { () throws(SystemError) in
            var image = image
            while true {
                do throws(SystemError) {
                    return try start(image)
                } catch {
                    // Some places take a file and do not let it run.
                    guard error.operation.hasPrefix("run "), [EACCES, EPERM, ETXTBSY].contains(error.errno) else {
                        throw error
                    }
                    guard let moved = image.moved(runtime.images.policy) else {
                        throw SystemError(error.errno, "run what was sent, from memory or any other place")
                    }
                    image = moved
                    if let id = request.image?.id { runtime.images.sent.keep(image, id) }
                }
            }
        }
    }

    private func say(_ wish: CommandImageWish) {
        [CommandPipe.image.rawValue, wish.rawValue].withUnsafeBytes { _ = runtime.node.sendData(key, $0, flags: .bulk) }
    }

    private func attempt(_ body: () throws(SystemError) -> Void) {
        do {
            try body()
        } catch {
            let hint = error.operation.hasPrefix("run ") || error.operation.hasPrefix("find ")
            let failure = MartletError(
                .commandNotStarted,
                error.description,
                route: runtime.route,
                advice: hint ? nil : "check the directory and the limits of processes and descriptors there"
            )
            finish(CommandEnd(timedOut: false, failure: failure, microseconds: 0))
        }
    }

    var grace: UInt64 { UInt64(request.killGrace) * 1_000_000 }

    // MARK: Output

    /// Sends what was read. It fits: see `pauseUnlessCredit`.
    func forward(_ pipe: CommandPipe, _ bytes: UnsafeRawBufferPointer) -> Bool {
        state.withLock { state in
            if state.status != nil { state.drained[pipe, default: 0] += bytes.count }
        }
        if keep(pipe, bytes) { return runtime.host?.takesMore { [self] in resume() } ?? true }
        let result = withUnsafeTemporaryAllocation(byteCount: bytes.count + 1, alignment: 8) { message in
            message[0] = pipe.rawValue
            (message.baseAddress! + 1).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
            return runtime.node.sendData(key, UnsafeRawBufferPointer(message), flags: .bulk)
        }
        guard case .sent = result else {
            // The stream is over: its reset ends the program, or has just said that its lines are kept.
            return keep(pipe, bytes)
        }
        return hasRoom
    }

    /// - Returns: `false` if the lines are not for us, but for the caller.
    private func keep(_ pipe: CommandPipe, _ bytes: UnsafeRawBufferPointer) -> Bool {
        if pipe == .items { return state.withLock { $0.lines != nil } }
        guard let lines = state.withLock({ $0.lines?[pipe, default: LineSplitter()].appendBytes(bytes) }) else {
            return false
        }
        for line in lines { runtime.host?.keep(pipe == .output ? .output : .error, line) }
        return true
    }

    /// All pipes may be read once before any is looked at again. No more than one frame's payload may be asked for.
    private var hasRoom: Bool {
        if state.withLock({ $0.lines != nil }) { return runtime.host?.takesMore {} ?? true }
        return (runtime.node.sendablePayload(key) ?? 0) >= 2 * (Self.chunk + 1 + 64)
    }

    func creditArrived() {
        if hasRoom { resume() }
    }

    func resume() {
        let sources = state.withLock { [$0.output, $0.error, $0.items] }
        for source in sources { source?.resume() }
    }

    func pipeEnded() {
        state.withLock { $0.openPipes -= 1 }
        finishIfDone()
    }

    // MARK: End

    func exited(_ status: ExitStatus) {
        state.withLock { $0.status = status }
        finishIfDone()
        if state.withLock({ !$0.isOver }) { drain() }
    }

    /// Whatever the program left running may hold its output open for ever; what the program itself wrote is not lost,
    /// however slow the reader is.
    private func drain() {
        let timer = runtime.reactor.schedule(at: Reactor.now + Self.drainLimit) { [self] in
            let (sources, drained) = state.withLock { state in
                ([(CommandPipe.output, state.output), (.error, state.error), (.items, state.items)], state.drained)
            }
            let isDone = sources.allSatisfy { pipe, source in
                source?.isEmpty ?? true || drained[pipe, default: 0] >= Self.pipeSize
            }
            guard isDone else { return drain() }
            state.withLock { $0.openPipes = 0 }
            finishIfDone()
        }
        state.withLock { state in
            if state.isOver { runtime.reactor.cancel(timer) } else { state.drainTimer = timer }
        }
    }

    func timeUp() {
        let process = state.withLock { state -> ChildProcess? in
            guard state.status == nil else { return nil }
            state.timedOut = true
            return state.process
        }
        process?.end(grace: grace)
    }

    private func finishIfDone() {
        let end = state.withLock { state -> CommandEnd? in
            guard !state.isOver, let status = state.status, state.openPipes == 0 else { return nil }
            var end = CommandEnd(timedOut: state.timedOut, microseconds: (Reactor.now - started) / 1000)
            switch status {
            case .exited(let code): end.exitCode = code
            case .signalled(let signal): end.signal = signal
            }
            return end
        }
        if let end { finish(end) }
    }

    private func finish(_ end: CommandEnd) {
        guard release() else { return }
        for pipe in [CommandPipe.output, .error] {
            guard let rest = state.withLock({ $0.lines?[pipe]?.finishBytes() }) else { continue }
            runtime.host?.keep(pipe == .output ? .output : .error, rest)
        }
        let payload = (try? CBOREncoder().encode(end)) ?? []
        runtime.node.sendEnd(key, payload, flags: .bulk)
        runtime.taskEnded()
    }

    /// - Returns: `false` if it was done before.
    private func release() -> Bool {
        let (first, timers, sources, sink, intake) = state.withLock { state in
            defer {
                state.isOver = true
                (state.timers, state.drainTimer) = ([], nil)
                (state.output, state.error, state.items, state.input) = (nil, nil, nil, nil)
                // What still has it as its terminal gets SIGHUP.
                if let terminal = state.terminal { closeDescriptor(terminal) }
                (state.intake, state.terminal) = (nil, nil)
            }
            let timers = state.timers + (state.drainTimer.map { [$0] } ?? [])
            return (!state.isOver, timers, [state.output, state.error, state.items], state.input, state.intake)
        }
        guard first else { return false }
        intake?.cancel()
        for timer in timers { runtime.reactor.cancel(timer) }
        for source in sources { source?.close() }
        sink?.close()
        return true
    }

    // MARK: StreamOwner

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let (intake, sink, items) = state.withLock { ($0.intake, $0.input, $0.items) }
        if let intake { return intake.received(payload) }
        if kind == .data, request.hasControl == true { return control(payload, sink) }
        if !payload.isEmpty {
            if let sink { sink.write(Array(payload)) } else { runtime.node.consumed(key, payload: payload.count) }
        }
        guard kind == .end else { return }
        // Items are not wanted any more: what the program sends fails from now on.
        if let items, items.hangUp() { pipeEnded() }
        endInput()
    }

    private func control(_ payload: UnsafeRawBufferPointer, _ sink: ByteSink?) {
        let rest = UnsafeRawBufferPointer(rebasing: payload.dropFirst())
        let control = payload.first.flatMap(CommandControl.init(rawValue:))
        if control == .input, !rest.isEmpty, let sink { return sink.write(Array(rest)) }
        defer { runtime.node.consumed(key, payload: payload.count) }
        switch control {
        case .size where rest.count == 4:
            let (columns, rows) = (UInt16(rest[0]) << 8 | UInt16(rest[1]), UInt16(rest[2]) << 8 | UInt16(rest[3]))
            state.withLock { if let terminal = $0.terminal { martlet_terminal_resize(terminal, columns, rows) } }
        case .signal where rest.count == 1: signal(Int32(rest[0]))
        case .endOfInput: endInput()
        default: break
        }
    }

    /// To what is in front of the terminal, as a key there would; without one to the program's group.
    private func signal(_ number: Int32) {
        let (process, group) = state.withLock { ($0.process, $0.terminal.map(martlet_terminal_foreground) ?? 0) }
        guard number > 0, number < 64, let process, process.isAlive else { return }
        if group > 0 { kill(-group, number) } else { process.signal(number) }
    }

    func endInput() {
        let (sink, key) = state.withLock { ($0.input, $0.terminal.map(martlet_terminal_end_key) ?? -1) }
        // Once for who reads now, also in the middle of a line, and once for who reads after that.
        sink?.finish(typing: key < 0 ? [] : [UInt8(key), UInt8(key)])
    }

    /// The caller is gone or was cancelled: so is the program.
    func wasReset(_ reason: ResetReason) {
        if reason.code == .contextDetached, outlive() { return }
        let process = state.withLock { $0.process }
        guard release() else { return }
        process?.end(grace: grace)
        runtime.taskEnded()
    }

    /// The caller is gone on purpose: the program goes on, without any more input.
    private func outlive() -> Bool {
        let (sources, sink) = state.withLock { state -> ([ByteSource?], ByteSink?) in
            guard !state.isOver, state.process != nil else { return ([], nil) }
            state.lines = [:]
            return ([state.output, state.error, state.items], state.input)
        }
        guard !sources.isEmpty else { return false }
        sink?.finish()
        for source in sources { source?.resume() }
        return true
    }
}
