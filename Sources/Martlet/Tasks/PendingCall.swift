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
    let gate = CreditGate()
    private let state = Mutex(State())

    private struct State {
        var key: StreamKey?
        var assembly = MessageAssembly()
        var continuation: UnsafeContinuation<Outcome, Never>?
        var outcome: Outcome?
        var timer: Reactor.TimerToken?
    }

    init(_ node: ContextNode) { self.node = node }

    /// Whoever was cancelled before there was a stream ends it as soon as there is one.
    func endIfAbandoned() {
        let (key, isOver) = state.withLock { ($0.key, $0.outcome != nil) }
        if isOver, let key { node.reset(key, ResetReason(.cancelled, "the caller was cancelled")) }
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
    func outcome() async -> Outcome {
        await withUnsafeContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }

    /// The caller does not want the answer any more; the far side is told.
    func abandon(_ outcome: Outcome) {
        guard let key = finish(outcome) else { return }
        let code: ResetReason.Code = if case .deadlineExceeded = outcome { .deadlineExceeded } else { .cancelled }
        node.reset(key, ResetReason(code, "the caller does not wait any more"))
    }

    /// - Returns: the stream, if this was the first outcome and there is a stream.
    @discardableResult
    private func finish(_ outcome: Outcome) -> StreamKey? {
        let (continuation, timer, key) = state.withLock { state -> (UnsafeContinuation<Outcome, Never>?, Reactor.TimerToken?, StreamKey?) in
            guard state.outcome == nil else {
                return (nil, nil, nil)
            }
            state.outcome = outcome
            defer { (state.continuation, state.timer) = (nil, nil) }
            return (state.continuation, state.timer, state.key)
        }
        if let timer { node.reactor.cancel(timer) }
        gate.open()
        continuation?.resume(returning: outcome)
        return key
    }

    // MARK: StreamOwner

    func opened(_ key: StreamKey) { state.withLock { $0.key = key } }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let (fits, answer, key) = state.withLock { state -> (Bool, [UInt8]?, StreamKey?) in
            if kind == .end, state.assembly.bytes.isEmpty { return (true, Array(payload), state.key) }
            let fits = state.assembly.append(payload)
            return (fits, kind == .end && fits ? state.assembly.bytes : nil, state.key)
        }
        guard let key else { return }
        if !fits {
            node.reset(key, .valueTooLarge)
            finish(.reset(.valueTooLarge))
        } else if let answer {
            finish(.answer(answer))
        } else {
            node.consumed(key, payload: payload.count)
        }
    }

    func creditArrived() { gate.open() }
    func wasReset(_ reason: ResetReason) { finish(.reset(reason)) }
}
