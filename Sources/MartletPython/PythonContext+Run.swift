public import Martlet

extension PythonContext {
    /// Runs a line of shell in the context, through `/bin/sh -c`; see ``Context/run(_:options:onLine:)``.
    ///
    /// The programs are children of a helper process of the context's, so that Python code that waits for its own children
    /// meets none of them. They get the environment and the directory that the Python process has; not what its code made of
    /// its user, its umask and its limits.
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
        try await operations.load(context)
        return try await context.run(command, options: options, onLine: onLine)
    }

    /// Runs a program without any shell; see ``Context/run(executable:arguments:options:onLine:)``.
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
        try await operations.load(context)
        return try await context.run(executable: executable, arguments: arguments, options: options, onLine: onLine)
    }

    /// Asks what the context is doing. Its I/O side answers, also while Python code runs.
    ///
    /// - Throws: ``MartletError`` `contextLost`, or `deadlineExceeded` after `deadline` (default: 15 s).
    public func status(deadline: Duration = .seconds(15)) async throws -> ContextStatus {
        try await context.status(deadline: deadline)
    }
}
