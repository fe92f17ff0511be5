import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// Sends messages to the controller, over one stream that is opened with the first.
///
/// What the stream has no credit for waits here, up to a limit; messages beyond it are counted, and the count is sent in
/// their place.
final class ForwardingStream: StreamOwner {
    /// How much waits at most unless somebody says otherwise, in bytes.
    static let limit = 256 * 1024

    private let node: ContextNode
    private let kind: StreamKind
    private let limit: Int
    private let note: @Sendable (_ dropped: Int) -> [UInt8]
    private let state = Mutex(State())

    private struct State {
        var key: StreamKey?
        var waiting = Deque<[UInt8]>()
        var waitingBytes = 0
        var dropped = 0
        var isOver = false
    }

    /// - Parameter note: the message that says how many were dropped.
    init(
        _ node: ContextNode, _ kind: StreamKind, limit: Int = ForwardingStream.limit,
        note: @escaping @Sendable (_ dropped: Int) -> [UInt8]
    ) {
        self.node = node
        self.kind = kind
        self.limit = limit
        self.note = note
    }

    /// Sends a message of at most ``FrameHeader/maximumPayload`` bytes, now or when there is credit.
    func send(_ message: [UInt8]) {
        state.withLock { state in
            guard !state.isOver else { return }
            // Behind what was dropped nothing overtakes the note.
            guard state.dropped == 0, state.waitingBytes + message.count <= limit else {
                state.dropped += 1
                return
            }
            state.waiting.append(message)
            state.waitingBytes += message.count
            if state.key == nil { state.key = node.open(to: .root, kind, owner: self, payload: [], flags: .bulk) }
            drain(&state)
        }
    }

    private func drain(_ state: inout State) {
        guard let key = state.key else { return }
        while let message = state.waiting.first {
            guard case .sent = message.withUnsafeBytes({ node.sendData(key, $0, flags: .bulk) }) else { return }
            state.waiting.removeFirst()
            state.waitingBytes -= message.count
        }
        guard state.dropped > 0 else { return }
        let text = note(state.dropped)
        if case .sent = text.withUnsafeBytes({ node.sendData(key, $0, flags: .bulk) }) { state.dropped = 0 }
    }

    /// Whether nothing waits to be sent.
    var isDrained: Bool { state.withLock { $0.waiting.isEmpty && $0.dropped == 0 } }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func creditArrived() { state.withLock { drain(&$0) } }

    func wasReset(_ reason: ResetReason) {
        state.withLock { state in
            state.isOver = true
            (state.waiting, state.waitingBytes, state.dropped) = ([], 0, 0)
        }
    }
}
