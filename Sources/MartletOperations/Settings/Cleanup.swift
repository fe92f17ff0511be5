import Synchronization

/// Has `body` run when the innermost scope of settings ends, however it ends, with the settings that hold here: to remove a
/// file over there, for one. `defer` cannot wait for that.
///
/// Those of one scope run in the order in which they were added, before what held outside holds again. An error of one is
/// written to the output as a warning, and keeps no other from running.
///
/// - Throws: ``OperationError`` `misuse` outside of any scope.
public func addCleanup(_ body: @escaping @Sendable () async throws -> Void) throws {
    let settings = Settings.local
    guard let cleanups = settings[CleanupKey.self] else {
        throw OperationError(
            .misuse, "addCleanup needs a scope at whose end the clean-up can run",
            advice: "wrap what it is for in withSettings { } or withOperations { }")
    }
    cleanups.add { try await Settings.$local.withValue(settings) { try await body() } }
}

enum CleanupKey: SettingKey { typealias Value = Cleanups }

/// What is to run at the end of one scope.
final class Cleanups: Sendable {
    typealias Body = @Sendable () async throws -> Void

    private let bodies = Mutex<[Body]>([])

    func add(_ body: @escaping Body) { bodies.withLock { $0.append(body) } }

    func run() async {
        guard bodies.withLock({ !$0.isEmpty }) else { return }
        // A task of its own, because a scope that was cancelled is cleaned up too. It is waited for.
        await Task {
            while let next = bodies.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
                do { try await next() } catch {
                    LineWriter(.current, host: nil).warn("a clean-up failed: \(error)")
                }
            }
        }.value
    }
}
