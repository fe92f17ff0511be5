import MartletReactor
import Synchronization

/// One task that waits until something may have changed: at one channel, or at many at once.
///
/// It is woken once. Whoever would wake it and comes too late is told, and wakes another instead, so that nothing that
/// came is left lying while somebody waits for it.
final class ChannelWaiter: Sendable {
    enum Wake: Sendable {
        case ready
        case timedOut
        case cancelled
    }

    private let state = Mutex(State())

    private struct State {
        var wake: Wake?
        var continuation: UnsafeContinuation<Wake, Never>?
        var signal: ThreadSignal?
    }

    /// - Returns: `false` if it was woken before.
    @discardableResult
    func fire(_ wake: Wake) -> Bool {
        let (isFirst, continuation, signal) = state.withLock { state in
            guard state.wake == nil else { return (false, UnsafeContinuation<Wake, Never>?.none, ThreadSignal?.none) }
            state.wake = wake
            defer { (state.continuation, state.signal) = (nil, nil) }
            return (true, state.continuation, state.signal)
        }
        continuation?.resume(returning: wake)
        signal?.fire()
        return isFirst
    }

    /// Blocks the thread until it is woken.
    func waitBlocking() {
        let signal = ThreadSignal()
        let isNow = state.withLock { state in
            if state.wake == nil { state.signal = signal }
            return state.wake != nil
        }
        if !isNow { signal.wait() }
    }

    var isWaiting: Bool { state.withLock { $0.wake == nil } }

    /// Waits until it is woken, until `deadline`, or until the task is cancelled.
    nonisolated(nonsending) func wait(until deadline: UInt64?, _ reactor: Reactor) async -> Wake {
        let timer = deadline.map { reactor.schedule(at: $0) { [self] in fire(.timedOut) } }
        let wake = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let wake = state.withLock { state in
                    if state.wake == nil { state.continuation = continuation }
                    return state.wake
                }
                if let wake { continuation.resume(returning: wake) }
            }
        } onCancel: {
            fire(.cancelled)
        }
        if let timer { reactor.cancel(timer) }
        return wake
    }
}
