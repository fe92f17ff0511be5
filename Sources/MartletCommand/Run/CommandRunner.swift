import Martlet
import MartletPython

/// A context of whatever runtime, where commands can be run.
protocol CommandRunner: Sendable {
    func run(
        _ command: String, options: CommandOptions, onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult
    func run(
        executable: String, arguments: [String], options: CommandOptions,
        onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult
}

extension Context: CommandRunner {}
extension PythonContext: CommandRunner {}

extension PythonRuntime? {
    /// What runs commands in a context whose runtime is this; `nil`: the agent.
    func runner(in context: Context) -> any CommandRunner { map { PythonContext(context, $0) } ?? context }
}
