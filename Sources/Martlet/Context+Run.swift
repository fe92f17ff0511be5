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
    /// A terminal for the program: its standard input and both its outputs are one, and what it writes comes as standard
    /// output. Default: none.
    public var terminal: TerminalSize?
    /// The value of `TERM`, if there is a terminal. Default: `xterm`.
    public var terminalType = "xterm"

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
        let hasInput = if case .none = options.input { false } else { true }
        let request = CommandRequest(executable, arguments, options, hasInput: hasInput)
        let running = try RunningCommand(self, name, request, options)
        return try await running.cancellable {
            guard hasInput else { return try await Self.collect(running, options.outputLimit, onLine) }
            let inputError = Locked<(any Error)?>(nil)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    do { try await running.feed(options.input) } catch {
                        inputError.withLock { $0 = error }
                        running.failInput(error)
                    }
                }
                defer { group.cancelAll() }
                do {
                    return try await Self.collect(running, options.outputLimit, onLine)
                } catch {
                    // Whoever feeds the program may wait for it to read: the group must not wait for both.
                    running.cancel()
                    let cause = inputError.withLock { $0 }
                    throw if let cause, !(cause is CancellationError) { cause } else { error }
                }
            }
        }
    }

    private static func collect(
        _ running: RunningCommand, _ limit: Int, _ onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult {
        var collector = OutputCollector(limit: limit, splitsLines: onLine != nil)
        do {
            while let (pipe, bytes) = try await running.nextPart() {
                for line in collector.append(pipe, bytes) { try await onLine?(line) }
            }
        } catch {
            // What came is not lost, though it is no whole line.
            for line in collector.finish() { try? await onLine?(line) }
            throw error
        }
        for line in collector.finish() { try await onLine?(line) }
        return try running.result(collector)
    }

    // MARK: Started commands

    /// Starts a line of shell in the context, through `/bin/sh -c`, and hands out its input and its outputs.
    ///
    /// - Parameter options: all but the input, which is ``RunningCommand/write(_:)``'s.
    /// - Throws: ``MartletError`` `contextLost`, `limitExceeded`. That it could not be started is told by the first read.
    public func start(_ command: String, options: CommandOptions = .init()) throws -> RunningCommand {
        try start(command, CommandRequest("/bin/sh", ["-c", command], options, hasInput: true), options)
    }

    /// Starts a program without any shell.
    ///
    /// - Parameters:
    ///   - executable: its path, or a name that is searched in the context's `PATH`.
    ///   - arguments: passed exactly.
    ///   - options: all but the input.
    /// - Throws: as ``start(_:options:)``.
    public func start(
        executable: String, arguments: [String] = [], options: CommandOptions = .init()
    ) throws -> RunningCommand {
        let name = ([executable] + arguments).joined(separator: " ")
        return try start(name, CommandRequest(executable, arguments, options, hasInput: true), options)
    }

    /// Starts the user's login shell, as sshd does: with `-c` for a line, else as at a login. A terminal has to be asked for.
    ///
    /// - Parameter options: all but the input.
    /// - Throws: as ``start(_:options:)``.
    public func startShell(_ command: String? = nil, options: CommandOptions = .init()) throws -> RunningCommand {
        var request = CommandRequest(command ?? "", [], options, hasInput: true)
        request.shell = command == nil ? .login : .line
        return try start(command ?? "the login shell", request, options)
    }

    private func start(
        _ name: String, _ request: CommandRequest, _ options: CommandOptions
    ) throws -> RunningCommand {
        var request = request
        request.hasControl = true
        return try RunningCommand(self, name, request, options)
    }
}

extension CommandRequest {
    package init(_ executable: String, _ arguments: [String], _ options: CommandOptions, hasInput: Bool) {
        self.init(
            executable: executable, arguments: arguments, environment: options.environment,
            directory: options.directory, hasInput: hasInput, timeout: options.timeout?.clampedMilliseconds,
            killGrace: options.killGrace.clampedMilliseconds, nice: Int32(clamping: options.nice),
            terminal: options.terminal.map {
                CommandTerminal(columns: $0.wire.columns, rows: $0.wire.rows, type: options.terminalType)
            })
    }
}
