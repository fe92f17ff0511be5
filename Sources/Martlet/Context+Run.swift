import MartletReactor
import MartletWire

/// What a command gets on its standard input.
public enum CommandInput: Sendable {
    /// Nothing: it is at its end.
    case none
    case bytes([UInt8])
    case text(String)
    /// Chunks as they come; the program waits for them, and they for the program.
    case chunks(any AsyncSequence<[UInt8], any Error> & Sendable)
}

/// How a command is to run. All of it has defaults.
public struct CommandOptions: Sendable {
    /// What the command gets on its standard input. Default: nothing.
    public var input = CommandInput.none
    /// Variables to set, or with `nil` to remove, in the environment that the context has. Values are passed exactly.
    public var environment: [String: String?] = [:]
    /// Where it runs. Default: where the context was started, for ssh the user's home.
    public var directory: String?
    /// How long it may take. Then its process group gets SIGTERM, after ``killGrace`` SIGKILL; what came is kept.
    public var timeout: Duration?
    /// Default: 2 s.
    public var killGrace = Duration.seconds(2)
    /// How much of each output is kept in the result, in bytes; all of it is still read. Default: 16 MiB.
    public var outputLimit = 16 * 1024 * 1024
    /// Added to the context's nice level.
    public var nice = 0

    /// The defaults.
    public init() {}
}

extension Context {
    /// Runs a line of shell in the context, through `/bin/sh -c`.
    ///
    /// A command that fails is a result, not an error.
    ///
    /// - Parameters:
    ///   - onLine: gets each line as it comes. While it waits, the program waits too once the buffers are full.
    /// - Throws: ``MartletError`` `commandNotStarted`, `contextLost`; what `onLine` throws, which ends the command.
    ///   `CancellationError` if the calling task is cancelled: the command is ended with its process group.
    @discardableResult
    public func run(
        _ command: String,
        options: CommandOptions = .init(),
        onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) async throws -> CommandResult {
        try await run(name: command, "/bin/sh", ["-c", command], options, onLine)
    }

    /// Runs a program without any shell.
    ///
    /// - Parameters:
    ///   - executable: its path, or a name that is searched in the context's `PATH`.
    ///   - arguments: passed exactly.
    /// - Throws: as ``run(_:options:onLine:)``.
    @discardableResult
    public func run(
        executable: String,
        arguments: [String] = [],
        options: CommandOptions = .init(),
        onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) async throws -> CommandResult {
        let name = ([executable] + arguments).joined(separator: " ")
        return try await run(name: name, executable, arguments, options, onLine)
    }

    private func run(
        name: String,
        _ executable: String,
        _ arguments: [String],
        _ options: CommandOptions,
        _ onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult {
        var collector = OutputCollector(limit: options.outputLimit, splitsLines: onLine != nil)
        let end: CommandEnd
        do {
            end = try await command(name, executable, arguments, options) { pipe, bytes in
                for line in collector.append(pipe, bytes) { try await onLine?(line) }
            }
        } catch {
            // What came is not lost, though it is no whole line.
            for line in collector.finish() { try? await onLine?(line) }
            throw error
        }
        for line in collector.finish() { try await onLine?(line) }
        let termination: Termination =
            end.timedOut
            ? .timedOut(after: options.timeout ?? .zero)
            : end.signal.map { .signalled($0) } ?? .exited(end.exitCode ?? 255)
        return CommandResult(
            command: name,
            termination: termination,
            standardOutput: collector.output,
            standardError: collector.error,
            isTruncated: collector.isTruncated,
            duration: .microseconds(end.microseconds),
            route: route
        )
    }

    private func command(
        _ name: String,
        _ executable: String,
        _ arguments: [String],
        _ options: CommandOptions,
        onChunk: (CommandPipe, ArraySlice<UInt8>) async throws -> Void
    ) async throws -> CommandEnd {
        let hasInput = if case .none = options.input { false } else { true }
        let request = CommandRequest(
            executable: executable,
            arguments: arguments,
            environment: options.environment,
            directory: options.directory,
            hasInput: hasInput,
            timeout: options.timeout?.clampedMilliseconds,
            killGrace: options.killGrace.clampedMilliseconds,
            nice: Int32(clamping: options.nice)
        )
        let payload = try CBOREncoder().encode(request)
        guard payload.count <= ContextNode.maximumOpenPayload else {
            throw MartletError(
                .limitExceeded,
                "the command line and environment are \(payload.count) bytes, more than \(ContextNode.maximumOpenPayload)",
                route: route,
                advice: "send long input through standard input"
            )
        }
        let queue = InboundQueue(node)
        let inputError = Locked<(any Error)?>(nil)
        guard
            let key = node.open(
                to: address,
                .command,
                owner: queue,
                payload: payload,
                flags: hasInput ? .bulk : [.last, .bulk]
            )
        else { throw ResetError(reason: .notConnected).error(route, name) }
        do {
            return try await withTaskCancellationHandler {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    if hasInput {
                        group.addTask { [node] in
                            do {
                                try await Self.feed(options.input, key, node: node, gate: queue.gate)
                            } catch {
                                inputError.withLock { $0 = error }
                                queue.reset(ResetReason(.cancelled, "the caller has no more input: \(error)"))
                            }
                        }
                    }
                    let end: CommandEnd
                    do { end = try await self.receive(queue, onChunk: onChunk) } catch {
                        // Whoever feeds the program may wait for it to read: the group must not wait for both.
                        queue.reset(ResetReason(.cancelled, "the caller does not read any more"))
                        throw error
                    }
                    // A program may end without having read its input: nobody may wait for it to do so.
                    group.cancelAll()
                    if hasInput { node.reset(key, ResetReason(.cancelled, "the program has ended")) }
                    queue.gate.open()
                    return end
                }
            } onCancel: {
                queue.reset(ResetReason(.cancelled, "the caller was cancelled"))
            }
        } catch let error as ResetError {
            if let inputError = inputError.withLock({ $0 }), !(inputError is CancellationError) { throw inputError }
            throw error.error(route, name)
        }
    }

    private func receive(
        _ queue: InboundQueue,
        onChunk: (CommandPipe, ArraySlice<UInt8>) async throws -> Void
    ) async throws -> CommandEnd {
        while let message = try await queue.next() {
            switch message {
            case .data(let bytes):
                guard let pipe = bytes.first.flatMap(CommandPipe.init(rawValue:)) else { continue }
                try await onChunk(pipe, bytes.dropFirst())
            case .end(let bytes):
                let end: CommandEnd
                do { end = try CBORDecoder().decode(CommandEnd.self, from: bytes) } catch {
                    throw MartletError(.protocolViolation, "a command's end cannot be read: \(error)", route: route)
                }
                if var failure = end.failure {
                    failure.route = route
                    throw failure
                }
                return end
            }
        }
        throw MartletError(.protocolViolation, "a command ended without a status", route: route)
    }

    private static func feed(
        _ input: CommandInput,
        _ key: StreamKey,
        node: ContextNode,
        gate: CreditGate
    ) async throws {
        switch input {
        case .none: break
        case .bytes(let bytes): try await send(bytes)
        case .text(let text): try await send(Array(text.utf8))
        case .chunks(let chunks): for try await chunk in chunks { try await send(chunk) }
        }
        node.sendEnd(key, flags: .bulk)

        func send(_ bytes: [UInt8]) async throws {
            var offset = 0
            while offset < bytes.count {
                try Task.checkCancellation()
                let end = min(bytes.count, offset + 64 * 512)
                guard await node.sendMessage(key, Array(bytes[offset..<end]), end: false, gate: gate) else { return }
                offset = end
            }
        }
    }
}
