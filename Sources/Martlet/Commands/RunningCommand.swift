import MartletLink
import MartletWire

/// A command that runs in a context, with its input and its outputs in hand.
///
///     let top = try web.startShell(options: options)          // with a terminal, if the options say so
///     try await top.write(Array("uptime\n".utf8))
///     top.finishInput()
///     while let chunk = try await top.next() { ... }
///     let result = try await top.result()
///
/// It ends with its process group when it is cancelled, when the task that reads it is, and when nobody holds it any more.
/// One task at a time may read; any may write.
public final class RunningCommand: Sendable {
    /// Bytes that it wrote, as they came.
    public enum Chunk: Hashable, Sendable {
        case output([UInt8])
        case error([UInt8])
    }

    /// As it was given, for people.
    public let command: String
    /// Where it runs.
    public let route: Route

    /// The most that one message of input carries, in bytes.
    private static let piece = 32_000
    /// Credit that input leaves to signals and sizes: they get through while the program does not read.
    private static let reserve = 1024
    /// How many sizes, signals and ends may wait for credit.
    private static let unsaidLimit = 256

    private let node: ContextNode
    private let queue: InboundQueue
    private let key: StreamKey
    private let timeout: Duration?
    private let outputLimit: Int
    private let end = Locked<CommandEnd?>(nil)
    /// Sizes, signals and the end of input that there is no credit for yet.
    private let unsaid = Locked<[[UInt8]]>([])

    init(_ context: Context, _ command: String, _ request: CommandRequest, _ options: CommandOptions) throws {
        self.command = command
        route = context.route
        node = context.node
        (timeout, outputLimit) = (options.timeout, options.outputLimit)
        let payload = try CBOREncoder().encode(request)
        guard payload.count <= ContextNode.maximumOpenPayload else {
            throw MartletError(
                .limitExceeded,
                "the command line and environment are \(payload.count) bytes, more than \(ContextNode.maximumOpenPayload)",
                route: route,
                advice: "send long input through standard input"
            )
        }
        queue = InboundQueue(node)
        let flags: FrameHeader.Flags = request.hasInput ? .bulk : [.last, .bulk]
        guard let key = node.open(to: context.address, .command, owner: queue, payload: payload, flags: flags) else {
            throw ResetError(reason: .notConnected).error(route, command)
        }
        self.key = key
        queue.onCredit.withLock { $0 = { [weak self] in self?.sayRest() } }
    }

    deinit { node.reset(key, ResetReason(.cancelled, "nobody wants the command any more")) }

    // MARK: Output

    /// Waits for what it writes next. While nobody asks, it waits, too, once the buffers are full.
    ///
    /// - Returns: `nil` when it has ended; ``result()`` is there at once then.
    /// - Throws: ``MartletError`` `commandNotStarted`, `contextLost`. `CancellationError` if this task or the command was
    ///   cancelled.
    public func next() async throws -> Chunk? {
        try await cancellable {
            guard let (pipe, bytes) = try await nextPart() else { return nil }
            return pipe == .error ? .error(Array(bytes)) : .output(Array(bytes))
        }
    }

    /// Reads what has not been read, and waits for the end.
    ///
    /// - Returns: how it ended, with what this call has read, up to ``CommandOptions/outputLimit`` bytes of each output.
    /// - Throws: as ``next()``.
    public func result() async throws -> CommandResult {
        try await cancellable {
            var collector = OutputCollector(limit: outputLimit, splitsLines: false)
            while let (pipe, bytes) = try await nextPart() { _ = collector.append(pipe, bytes) }
            return try result(collector)
        }
    }

    /// The next bytes and where they come from; whoever cancels calls ``cancel()``.
    func nextPart() async throws -> (CommandPipe, ArraySlice<UInt8>)? {
        guard end.withLock({ $0 }) == nil else { return nil }
        do {
            while let message = try await queue.next() {
                switch message {
                case .data(let bytes):
                    guard let pipe = bytes.first.flatMap(CommandPipe.init(rawValue:)) else { continue }
                    return (pipe, bytes.dropFirst())
                case .end(let bytes):
                    try ended(bytes)
                    return nil
                }
            }
        } catch let error as ResetError {
            throw error.error(route, command)
        }
        throw MartletError(.protocolViolation, "a command ended without a status", route: route)
    }

    private func ended(_ bytes: [UInt8]) throws {
        let end: CommandEnd
        do { end = try CBORDecoder().decode(CommandEnd.self, from: bytes) } catch {
            throw MartletError(.protocolViolation, "a command's end cannot be read: \(error)", route: route)
        }
        if var failure = end.failure {
            failure.route = route
            throw failure
        }
        self.end.withLock { $0 = end }
        // It may have ended without having read its input: nobody may wait for it to do so.
        node.reset(key, ResetReason(.cancelled, "the program has ended"))
        queue.gate.open()
    }

    func result(_ collector: OutputCollector) throws -> CommandResult {
        guard let end = end.withLock({ $0 }) else {
            throw MartletError(.protocolViolation, "a command ended without a status", route: route)
        }
        return CommandResult(
            command: command,
            termination: end.termination(timeout: timeout),
            standardOutput: collector.output,
            standardError: collector.error,
            isTruncated: collector.isTruncated,
            duration: .microseconds(end.microseconds),
            route: route
        )
    }

    // MARK: Input

    /// Gives it input, and waits until that is under way. What it does not want to read any more is dropped.
    ///
    /// - Throws: `CancellationError`.
    public func write(_ bytes: [UInt8]) async throws {
        var offset = 0
        while offset < bytes.count {
            let count = min(bytes.count - offset, Self.piece)
            guard await send(.input, bytes[offset..<offset + count]) else { return try Task.checkCancellation() }
            offset += count
        }
    }

    /// There will be no more input. At a terminal the key for it (Ctrl-D) is pressed.
    public func finishInput() { say(.endOfInput, []) }

    /// Sets the size of its terminal; what is in front there is told.
    public func resize(_ size: TerminalSize) {
        let (columns, rows) = size.wire
        say(.size, [columns, rows].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] })
    }

    /// Sends a signal to its process group; with a terminal, to what is in front there.
    public func send(signal: Int32) { say(.signal, [UInt8(clamping: signal)]) }

    /// Ends it with its process group: SIGTERM, and SIGKILL after ``CommandOptions/killGrace``.
    public func cancel() { queue.reset(ResetReason(.cancelled, "the caller was cancelled")) }

    private func say(_ control: CommandControl, _ bytes: [UInt8]) {
        unsaid.withLock { unsaid in
            // Of sizes the last counts.
            if control == .size { unsaid.removeAll { $0.first == control.rawValue } }
            if unsaid.count < Self.unsaidLimit { unsaid.append([control.rawValue] + bytes) }
        }
        sayRest()
    }

    private func sayRest() {
        unsaid.withLock { unsaid in
            while let message = unsaid.first {
                let result = message.withUnsafeBytes { node.sendData(key, $0, flags: .bulk) }
                if case .noCredit = result { return }
                unsaid.removeFirst()
            }
        }
    }

    private func send(_ control: CommandControl, _ bytes: ArraySlice<UInt8>) async -> Bool {
        let message = [control.rawValue] + bytes
        while !Task.isCancelled {
            let generation = queue.gate.generation
            guard let room = node.sendablePayload(key) else { return false }
            if room >= message.count + Self.reserve {
                switch message.withUnsafeBytes({ node.sendData(key, $0, flags: .bulk) }) {
                case .sent: return true
                case .closed: return false
                case .noCredit: break
                }
            }
            await withTaskCancellationHandler {
                await queue.gate.wait(since: generation)
            } onCancel: {
                queue.gate.open()
            }
        }
        return false
    }

    /// Feeds raw input: the request has said that there is no control.
    func feed(_ input: CommandInput) async throws {
        switch input {
        case .none: break
        case .bytes(let bytes): try await sendRaw(bytes)
        case .text(let text): try await sendRaw(Array(text.utf8))
        case .chunks(let chunks): for try await chunk in chunks { try await sendRaw(chunk) }
        }
        node.sendEnd(key, flags: .bulk)
    }

    private func sendRaw(_ bytes: [UInt8]) async throws {
        var offset = 0
        while offset < bytes.count {
            try Task.checkCancellation()
            let end = min(bytes.count, offset + 64 * 512)
            guard await node.sendMessage(key, Array(bytes[offset..<end]), end: false, gate: queue.gate) else { return }
            offset = end
        }
    }

    /// The caller of ``feed(_:)`` has no more, because of an error.
    func failInput(_ error: any Error) {
        queue.reset(ResetReason(.cancelled, "the caller has no more input: \(error)"))
    }

    // MARK: Cancellation

    func cancellable<R>(_ body: () async throws -> R) async throws -> R {
        try await withTaskCancellationHandler {
            try await body()
        } onCancel: {
            cancel()
        }
    }
}
