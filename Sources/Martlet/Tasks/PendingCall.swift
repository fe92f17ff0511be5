import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// The caller's end of a call.
final class PendingCall: StreamOwner {
    enum Outcome: Sendable {
        case answer([UInt8])
        case reset(ResetReason)
        case cancelled
        case deadlineExceeded
    }

    private let node: ContextNode
    private let gate: CreditGate?
    private let state = Mutex(State())

    private struct State {
        var key: StreamKey?
        var assembly = MessageAssembly()
        var continuation: UnsafeContinuation<Outcome, Never>?
        var outcome: Outcome?
        var timer: Reactor.TimerToken?

        /// Notes the outcome if it is the first; else returns nothing to do.
        mutating func end(_ outcome: Outcome) -> Ending? {
            guard self.outcome == nil else { return nil }
            self.outcome = outcome
            defer { (continuation, timer) = (nil, nil) }
            return Ending(outcome: outcome, key: key, continuation: continuation, timer: timer)
        }
    }

    /// What is to be done when the lock is free again.
    private struct Ending {
        var outcome: Outcome
        var key: StreamKey?
        var continuation: UnsafeContinuation<Outcome, Never>?
        var timer: Reactor.TimerToken?
    }

    /// - Parameter gate: where the caller waits for credit, if the arguments need more than one frame.
    init(_ node: ContextNode, gate: CreditGate? = nil) {
        self.node = node
        self.gate = gate
    }

    /// Ends the call at `deadline`.
    func setDeadline(_ deadline: UInt64) {
        let timer = node.reactor.schedule(at: deadline) { [self] in abandon(.deadlineExceeded) }
        let isOver = state.withLock { state in
            state.timer = timer
            return state.outcome != nil
        }
        if isOver { node.reactor.cancel(timer) }
    }

    /// Waits for what comes of the call.
    nonisolated(nonsending) func outcome() async -> Outcome {
        await withUnsafeContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            guard let outcome else { return }
            endIfAbandoned()
            continuation.resume(returning: outcome)
        }
    }

    /// Who was cancelled before there was a stream could not end it, and does so as soon as there is one.
    func endIfAbandoned() {
        let (key, outcome) = state.withLock { ($0.key, $0.outcome) }
        if case .cancelled = outcome, let key { node.reset(key, ResetReason(.cancelled, "the caller was cancelled")) }
    }

    /// The caller does not want the answer any more; the far side is told.
    func abandon(_ outcome: Outcome) {
        guard let key = finish(state.withLock { $0.end(outcome) }) else { return }
        let code: ResetReason.Code = if case .deadlineExceeded = outcome { .deadlineExceeded } else { .cancelled }
        node.reset(key, ResetReason(code, "the caller does not wait any more"))
    }

    /// - Returns: the stream, if there is one that has ended now.
    @discardableResult
    private func finish(_ ending: Ending?) -> StreamKey? {
        guard let ending else { return nil }
        if let timer = ending.timer { node.reactor.cancel(timer) }
        gate?.open()
        ending.continuation?.resume(returning: ending.outcome)
        return ending.key
    }

    // MARK: StreamOwner

    func opened(_ key: StreamKey) { state.withLock { $0.key = key } }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let (fits, key, ending) = state.withLock { state -> (Bool, StreamKey?, Ending?) in
            let fits = state.assembly.append(payload)
            let outcome: Outcome? = !fits ? .reset(.valueTooLarge) : kind == .end ? .answer(state.assembly.take()) : nil
            return (fits, state.key, outcome.flatMap { state.end($0) })
        }
        finish(ending)
        guard kind != .end, let key else { return }
        if fits { node.consumed(key, payload: payload.count) } else { node.reset(key, .valueTooLarge) }
    }

    func creditArrived() { gate?.open() }
    func wasReset(_ reason: ResetReason) { finish(state.withLock { $0.end(.reset(reason)) }) }
}
