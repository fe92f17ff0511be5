import Synchronization

/// Why everything has to end before it is done: the first reason counts.
final class Interruption: Sendable {
    enum Cause: Sendable, Equatable {
        /// Ctrl-C, or somebody ends us.
        case signal(Int32)
        /// Nobody reads our standard output any more.
        case outputClosed
        /// Our standard output cannot be written to; the value of `errno`.
        case outputFailed(Int32)
    }

    private struct State {
        var cause: Cause?
        var waiter: UnsafeContinuation<Void, Never>?
        var isAbandoned = false
        /// Whose signals are now.
        var receiver: (@Sendable (Int32) -> Void)?
    }

    private let state = Mutex(State())

    var cause: Cause? { state.withLock { $0.cause } }

    /// - Returns: `false` if there was a reason already.
    @discardableResult
    func fire(_ cause: Cause) -> Bool {
        if case .signal(let number) = cause, let receiver = state.withLock({ $0.receiver }) {
            receiver(number)
            return true
        }
        let (isFirst, waiter) = state.withLock { state in
            defer { state.waiter = nil }
            let isFirst = state.cause == nil
            if isFirst { state.cause = cause }
            return (isFirst, state.waiter)
        }
        waiter?.resume()
        return isFirst
    }

    /// Waits until there is a reason, or until the task is cancelled. One task at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isOver = state.withLock { state in
                    let isOver = state.cause != nil || state.isAbandoned
                    if !isOver { state.waiter = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                state.isAbandoned = true
                return state.waiter
            }
            waiter?.resume()
        }
        state.withLock { $0.isAbandoned = false }
    }

    /// Runs `body`, and cancels it when there is a reason to end.
    ///
    /// - Throws: what `body` throws; `CancellationError` comes from nowhere else than the interruption.
    func cancelling<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R {
        try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                await self.wait()
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
                group.cancelAll()
            }
            throw CancellationError()
        }
    }

    /// Runs `body`, and passes every signal on meanwhile: none of them is a reason to end anything here.
    func passing<R>(to receiver: @escaping @Sendable (Int32) -> Void, _ body: () async -> R) async -> R {
        let cause = state.withLock { state in
            state.receiver = receiver
            return state.cause
        }
        Signals.install(repeatedly: true)
        defer {
            Signals.install(repeatedly: false)
            state.withLock { $0.receiver = nil }
        }
        // One that came when nobody was there to get it.
        if case .signal(let number)? = cause { receiver(number) }
        return await body()
    }

    /// With what the program exits because of it.
    var exitStatus: Int32? {
        switch cause {
        case .signal(let number): 128 + number
        case .outputClosed: ExitStatus.outputClosed
        case .outputFailed: ExitStatus.failed
        case nil: nil
        }
    }
}
