import DequeModule
import MartletLink
import MartletWire
import Synchronization

/// The messages of one stream that wait for their reader. The other end's credit bounds it: a message gives its credit
/// back when the reader takes it.
final class InboundQueue: StreamOwner {
    enum Message: Sendable {
        case data([UInt8])
        /// The other end's last message.
        case end([UInt8])
    }

    private let node: ContextNode
    let gate = CreditGate()
    private let state = Mutex(State())

    private struct State {
        var key: StreamKey?
        var messages = Deque<Message>()
        var reset: ResetReason?
        var isOver = false
        var waiter: UnsafeContinuation<Void, Never>?
    }

    /// Told of each message on the polling thread, before any later frame is looked at.
    private let onData: (@Sendable ([UInt8]) -> Void)?

    init(_ node: ContextNode, onData: (@Sendable ([UInt8]) -> Void)? = nil) {
        self.node = node
        self.onData = onData
    }

    /// Called when the stream has got credit, beside the gate.
    let onCredit = Locked<(@Sendable () -> Void)?>(nil)

    func opened(_ key: StreamKey) { state.withLock { $0.key = key } }

    /// Takes the next message; `nil` behind the last.
    ///
    /// - Throws: ``ResetError`` if the stream ended otherwise. One reader at a time. Cancelling the reader's task does not
    ///   wake it: whoever cancels resets the stream.
    func next() async throws(ResetError) -> Message? {
        while true {
            let (message, reset, isOver, key) = state.withLock { state -> (Message?, ResetReason?, Bool, StreamKey?) in
                let message = state.messages.popFirst()
                if case .end = message { state.isOver = true }
                return (message, state.reset, state.isOver, state.key)
            }
            if let message {
                if case .data(let bytes) = message, let key { node.consumed(key, payload: bytes.count) }
                return message
            }
            if let reset { throw ResetError(reason: reset) }
            if isOver { return nil }
            await withUnsafeContinuation { continuation in
                let isNow = state.withLock { state in
                    guard state.messages.isEmpty, state.reset == nil else { return true }
                    state.waiter = continuation
                    return false
                }
                if isNow { continuation.resume() }
            }
        }
    }

    /// Ends the stream from this end.
    func reset(_ reason: ResetReason) {
        if let key = state.withLock({ $0.key }) { node.reset(key, reason) }
        wasReset(reason)
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    // MARK: StreamOwner

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let bytes = Array(payload)
        if kind == .data { onData?(bytes) }
        wake { $0.messages.append(kind == .end ? .end(bytes) : .data(bytes)) }
    }

    func creditArrived() {
        gate.open()
        onCredit.withLock { $0 }?()
    }

    func wasReset(_ reason: ResetReason) {
        wake { state in
            guard !state.isOver, state.reset == nil else { return }
            state.reset = reason
        }
        gate.open()
    }
}

/// A stream that ended before its last message.
struct ResetError: Error {
    var reason: ResetReason

    /// As the user sees it.
    func error(_ route: Route, _ what: String) -> any Error {
        let code: MartletError.Code =
            switch reason.code {
            case .cancelled: .misuse
            case .deadlineExceeded: .deadlineExceeded
            case .contextLost, .noRoute, .shuttingDown: .contextLost
            case .contextDetached: .contextDetached
            case .refused: .refused
            case .limitExceeded: .limitExceeded
            case .protocolViolation: .protocolViolation
            }
        if reason.code == .cancelled { return CancellationError() }
        return MartletError(code, "\(what): \(reason.message)", route: route)
    }
}
