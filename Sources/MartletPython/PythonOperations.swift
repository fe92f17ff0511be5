import Martlet
import Synchronization

/// The second part of the far program: it is sent once, by whoever needs it first.
final class PythonOperations: Sendable {
    static let program = Base64.decode(RuntimeProgram.operations)
    private let loading = Mutex<Task<Void, any Error>?>(nil)

    /// Waits until it is there.
    ///
    /// - Throws: ``MartletError`` `contextLost`. The next who asks tries again.
    func load(_ context: Context) async throws {
        let task = loading.withLock { loading in
            if let loading { return loading }
            // Several callers wait for it, and none of them may cancel it for the others. It is as long as one call.
            let task = Task {
                let arguments = PythonArguments(positional: [PythonValue.bytes(Self.program)], keywords: [:])
                let _: NoResult = try await context.call(
                    named: "!load", arguments, deadline: nil, returning: NoResult.self, failure: PythonError.self)
            }
            loading = task
            return task
        }
        do { try await task.value } catch {
            loading.withLock { if $0 == task { $0 = nil } }
            throw error
        }
        try Task.checkCancellation()
    }
}
