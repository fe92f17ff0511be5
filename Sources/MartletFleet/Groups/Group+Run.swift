public import Martlet

extension Group {
    /// Runs a line of shell in every member; see ``Context/run(_:options:onLine:)``.
    ///
    /// - Parameters:
    ///   - accepting: with which exit codes a command has succeeded. `nil`: however it ends, that is a result. Default: 0; any
    ///     other end is a failure, with ``CommandError`` that has the result, so that it counts in the strategy.
    ///   - onLine: gets each member's lines as they come; while it waits, that member's program waits.
    /// - Throws: as ``call(_:timeout:)``.
    @discardableResult
    public func run(
        _ command: String, options: CommandOptions = .init(), accepting: Set<Int32>? = [0],
        onLine: (@Sendable (GroupMember, OutputLine) async throws -> Void)? = nil
    ) async throws -> GroupResults<CommandResult> {
        try await each { context, member in
            try await context.run(command, options: options, onLine: lines(of: member, onLine)).accepted(accepting)
        }
    }

    /// Runs a program in every member, without any shell; see ``Context/run(executable:arguments:options:onLine:)``.
    ///
    /// - Throws: as ``run(_:options:accepting:onLine:)``.
    @discardableResult
    public func run(
        executable: String, arguments: [String] = [], options: CommandOptions = .init(), accepting: Set<Int32>? = [0],
        onLine: (@Sendable (GroupMember, OutputLine) async throws -> Void)? = nil
    ) async throws -> GroupResults<CommandResult> {
        try await each { context, member in
            try await context.run(
                executable: executable, arguments: arguments, options: options, onLine: lines(of: member, onLine)
            ).accepted(accepting)
        }
    }
}

/// A member's part of what takes everybody's lines.
func lines(
    of member: GroupMember, _ onLine: (@Sendable (GroupMember, OutputLine) async throws -> Void)?
) -> (@Sendable (OutputLine) async throws -> Void)? {
    guard let onLine else { return nil }
    return { line in try await onLine(member, line) }
}

extension CommandResult {
    /// - Throws: ``CommandError`` unless it ended with one of these codes.
    package func accepted(_ codes: Set<Int32>?) throws -> CommandResult {
        guard let codes else { return self }
        if case .exited(let code) = termination, codes.contains(code) { return self }
        throw CommandError(result: self)
    }
}
