import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// Sends messages to the controller, over one stream that is opened with the first.
///
/// What the stream has no credit for waits here, up to a limit. Beyond it those who can wait do, and messages of those who
/// cannot are counted, and the count is sent in their place.
final class ForwardingStream: StreamOwner {
    /// How much waits before writers wait or messages are dropped, in bytes. Whoever waits may add what it had read.
    private static let limit = 256 * 1024
    /// What may wait besides at the end, when nobody can wait any more: as much as the pipe can hold that is read then.
    private static let lastRoom = 1024 * 1024

    private let node: ContextNode
    private let kind: StreamKind
    private let note: @Sendable (_ dropped: Int) -> [UInt8]
    private let state = Mutex(State())

    private struct State {
        var key: StreamKey?
        var waiting = Deque<[UInt8]>()
        var waitingBytes = 0
        var dropped = 0
        var isOver = false
        /// Who is to be told that there is room.
        var waiters: [@Sendable () -> Void] = []
    }

    /// - Parameter note: the message that says how many were dropped.
    init(
        _ node: ContextNode, _ kind: StreamKind, note: @escaping @Sendable (_ dropped: Int) -> [UInt8]
    ) {
        self.node = node
        self.kind = kind
        self.note = note
    }

    /// Sends a message of at most ``FrameHeader/maximumPayload`` bytes, now or when there is credit.
    ///
    /// - Parameters:
    ///   - mayDrop: whether it is dropped if too much waits.
    ///   - isLast: the context is ending.
    func send(_ message: [UInt8], mayDrop: Bool = true, isLast: Bool = false) {
        change { state in
            guard !state.isOver else { return }
            // Behind what was dropped nothing overtakes the note.
            let limit = isLast ? Self.limit + Self.lastRoom : Self.limit
            guard !mayDrop || (state.dropped == 0 && state.waitingBytes < limit) else {
                state.dropped += 1
                return
            }
            if state.dropped > 0 { append(note(state.dropped), &state) }
            state.dropped = 0
            append(message, &state)
            if state.key == nil { state.key = node.open(to: .root, kind, owner: self, payload: [], flags: .bulk) }
            drain(&state)
        }
    }

    /// Whether more may be sent without being dropped.
    ///
    /// - Parameter waiter: if not, called once when it may, or when nobody takes anything any more.
    func hasRoom(orTell waiter: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            if state.isOver || state.waitingBytes < Self.limit { return true }
            state.waiters.append(waiter)
            return false
        }
    }

    private func append(_ message: [UInt8], _ state: inout State) {
        state.waiting.append(message)
        state.waitingBytes += message.count
    }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state -> [@Sendable () -> Void] in
            body(&state)
            guard !state.waiters.isEmpty, state.isOver || state.waitingBytes < Self.limit / 2 else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
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

    /// Nothing more is sent; returns what waits.
    func stop() -> [[UInt8]] {
        var left: [[UInt8]] = []
        change { state in
            left = Array(state.waiting)
            if state.dropped > 0 { left.append(note(state.dropped)) }
            state.isOver = true
            (state.waiting, state.waitingBytes, state.dropped) = ([], 0, 0)
        }
        return left
    }

    /// Whether nothing waits to be sent.
    var isDrained: Bool { state.withLock { $0.waiting.isEmpty && $0.dropped == 0 } }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func creditArrived() { change { drain(&$0) } }

    func wasReset(_ reason: ResetReason) { _ = stop() }
}
