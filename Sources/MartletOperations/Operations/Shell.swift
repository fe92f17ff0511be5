/// Gives the person at this program's terminal the login shell of the host that is set, until it ends.
///
/// It has a terminal of the size of this one's, whose changes it follows; keys go there as they are typed, Ctrl-C too. With
/// ``Setting/input(_:)`` that is typed instead. Directory, variables, sudo and watchers are as for commands.
///
/// - Returns: what was shown, and how the shell ended: that is no failure, whatever the code.
/// - Throws: `MartletError` if the host is not reached or is lost; ``OperationError`` `noHost`, `commandNotStarted`.
@discardableResult
public func shell(_ settings: Setting...) async throws -> OperationResult {
    try await CommandRun.loginShell(Settings.local.applying(settings))
}
