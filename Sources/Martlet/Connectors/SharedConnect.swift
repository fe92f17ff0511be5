import MartletReactor
import Synchronization

/// One connect that any number of callers wait for. It is cancelled when none of them waits any more.
package final class SharedConnect: Sendable {
    private struct State {
        var result: Result<Context, any Error>?
        var waiters: [UInt64: CheckedContinuation<Context, any Error>] = [:]
        /// Who was cancelled before it waited.
        var cancelled: Set<UInt64> = []
        var next: UInt64 = 0
        /// Nobody waits for it any more.
        var isAbandoned = false
        var task: Task<Void, Never>?
    }

    private let state = Mutex(State())

    /// Begins at once.
    package init(_ connect: @escaping @Sendable () async throws -> Context) {
        // A task of its own, because it belongs to all who wait; they, or the end of the scope, end it.
        let task = Task(executorPreference: Reactor.shared) { [weak self] in
            let result: Result<Context, any Error>
            do { result = .success(try await connect()) } catch { result = .failure(error) }
            if self?.end(result) != true { await (try? result.get())?.close() }
        }
        state.withLock { $0.task = task }
    }

    deinit { state.withLock { $0.task }?.cancel() }

    /// The context, if it is there.
    package var context: Context? { state.withLock { try? $0.result?.get() } }

    /// It has failed, or nobody waited for it: who comes now gets an error.
    package var hasFailed: Bool {
        state.withLock { if case .failure = $0.result { true } else { $0.isAbandoned } }
    }

    /// - Throws: what the connect throws; `CancellationError` at once if the caller is cancelled.
    package func value() async throws -> Context {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        defer { _ = state.withLock { $0.cancelled.remove(id) } }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Context, any Error>? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                    if let result = state.result { return result }
                    if state.isAbandoned { return .failure(CancellationError()) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            leave(id)
        }
    }

    private func leave(_ id: UInt64) {
        let (continuation, task) = state.withLock { state in
            let continuation = state.waiters.removeValue(forKey: id)
            if continuation == nil { state.cancelled.insert(id) }
            state.isAbandoned = state.waiters.isEmpty && state.result == nil
            return (continuation, state.isAbandoned ? state.task : nil)
        }
        task?.cancel()
        continuation?.resume(throwing: CancellationError())
    }

    /// Ends it, and closes the context.
    package func close() async {
        let task = state.withLock { $0.task }
        task?.cancel()
        await task?.value
        await context?.close()
    }

    /// - Returns: whether anybody wants it.
    private func end(_ result: Result<Context, any Error>) -> Bool {
        let (waiters, isWanted) = state.withLock { state in
            state.result = state.isAbandoned ? .failure(CancellationError()) : result
            defer { state.waiters = [:] }
            return (Array(state.waiters.values), !state.isAbandoned)
        }
        for waiter in waiters { waiter.resume(with: result) }
        return isWanted
    }
}
