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
