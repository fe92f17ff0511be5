import Martlet

/// Runs one command, as the settings have it.
struct CommandRun {
    private let plan: CommandPlan
    private let settings: Settings
    private let writer: LineWriter
    private let isLocal: Bool
    private let host: String

    /// Runs the login shell. How a person leaves it is no failure.
    static func loginShell(_ settings: Settings) async throws -> OperationResult {
        try await settings.operation(on: settings[HostKey.self]?.name) {
            try await CommandRun(.loginShell, settings.applying([.interactive()]), isLocal: false).result()
        }
    }

    /// Shows the command, runs it, and judges what came of it.
    ///
    /// - Throws: ``OperationError``; `MartletError` if the host is not reached or is lost; `SpecError`; `CancellationError`.
    static func of(_ request: CommandPlan.Request, _ settings: Settings, isLocal: Bool) async throws -> OperationResult
    {
        try await settings.operation(on: isLocal ? OperationHost.local.name : settings[HostKey.self]?.name) {
            let run = try CommandRun(request, settings, isLocal: isLocal)
            return try settings.judge(try await run.result(), run.writer)
        }
    }

    /// - Parameter shows: whether the command is one of the user's own.
    init(_ request: CommandPlan.Request, _ settings: Settings, isLocal: Bool) throws {
        plan = try CommandPlan(request, settings, isLocal: isLocal)
        host = isLocal ? OperationHost.local.name : settings[HostKey.self]?.name ?? ""
        writer = LineWriter(settings, host: host, command: plan.shown)
        self.settings = settings
        self.isLocal = isLocal
    }

    private func result() async throws -> OperationResult {
        writer.running(plan.shown)
        if settings[DryRunKey.self] ?? false { return OperationResult(command: plan.shown, host: host) }
        let target = try await isLocal ? OperationTarget.local(settings) : OperationTarget(settings)
        do {
            return try await result(on: target)
        } catch let error as MartletError where error.code == .commandNotStarted {
            throw OperationError(
                .commandNotStarted, "\(plan.shown.quotedForPeople) was not run: \(error.message)", host: host,
                route: error.route, advice: error.advice, underlying: error)
        }
    }

    private func result(on target: OperationTarget) async throws -> OperationResult {
        switch target {
        case .mock(let mock):
            var result = try mock.run(plan, settings, host: host)
            for line in result.standardOutput.cutIntoLines { writer.line(.output, line) }
            for line in result.standardError.cutIntoLines { writer.line(.error, line) }
            result.keep(settings.commandOptions.outputLimit)
            return result
        case .context(let connection, _):
            do {
                return try await run(on: connection)
            } catch let error as MartletError where error.code == .contextLost {
                settings[ConnectionsKey.self]?.lost(connection.context)
                throw error
            } catch var error as OperationError {
                error.route = error.route ?? connection.context.route
                throw error
            }
        }
    }

    private func run(on connection: Connection) async throws -> OperationResult {
        var options = settings.commandOptions
        if let directory = plan.directory {
            options.directory = try await connection.resolving(directory, host: host, settings)
        }
        let context = connection.context
        guard case .executable(let path, let arguments) = plan.program,
            settings[TerminalKey.self] == nil, settings[WatchersKey.self]?.isEmpty ?? true,
            !(settings[InteractiveKey.self] ?? false)
        else {
            let session = CommandSession(plan, settings, writer, options)
            return result(try await session.run(on: context))
        }
        let show: @Sendable (OutputLine) async throws -> Void = { [writer] in writer.line($0) }
        return result(
            try await context.run(
                executable: path, arguments: arguments, options: options, onLine: writer.showsOutput ? show : nil))
    }

    private func result(_ result: CommandResult) -> OperationResult {
        OperationResult(
            command: plan.shown, host: host, termination: result.termination, standardOutput: result.standardOutput,
            standardError: result.standardError, isTruncated: result.isTruncated, duration: result.duration,
            route: result.route)
    }
}

extension OperationResult {
    /// Takes away what is more than `limit` bytes of an output.
    fileprivate mutating func keep(_ limit: Int) {
        isTruncated = standardOutput.count > limit || standardError.count > limit
        standardOutput = Array(standardOutput.prefix(limit))
        standardError = Array(standardError.prefix(limit))
    }
}
