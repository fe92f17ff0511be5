import MartletLink
import MartletReactor
package import MartletWire
import Synchronization

/// Joins a connection's socket with a stream: bytes both ways, each with the stream's credit, and each ending by itself.
package final class SocketStream: AcceptedStreamOwner {
    private struct State {
        var key: StreamKey?
        var source: ByteSource?
        var sink: ByteSink?
        /// What came before there was a socket: no more than the window.
        var early: [[UInt8]] = []
        /// The acceptor's first message says that it is connected.
        var isAwaitingWord: Bool
        var hasEndedEarly = false
        var openDirections = 2
        var isOver = false
        var resetReason: ResetReason?
    }

    private let node: ContextNode
    private let state: Mutex<State>
    private let begins: @Sendable (SocketStream) -> Void
    private let onEnd: @Sendable (SocketStream, _ refusal: ResetReason?) -> Void

    /// The most that one message carries, in bytes.
    private static let maximum = 64_000

    /// - Parameters:
    ///   - key: of a stream that was opened to here; `nil`: it will be opened from here.
    ///   - begins: of such a stream, called when it is time to make a connection.
    ///   - onEnd: called once. With the reason if the other end ended the stream before it was connected.
    package init(
        _ node: ContextNode, _ key: StreamKey? = nil, begins: @escaping @Sendable (SocketStream) -> Void = { _ in },
        onEnd: @escaping @Sendable (SocketStream, _ refusal: ResetReason?) -> Void
    ) {
        self.node = node
        state = Mutex(State(key: key, isAwaitingWord: key == nil))
        self.begins = begins
        self.onEnd = onEnd
    }

    package func opened(_ key: StreamKey) { state.withLock { $0.key = key } }
    func begin() { begins(self) }
    private var key: StreamKey? { state.withLock { $0.key } }
    package var isOver: Bool { state.withLock { $0.isOver } }
    /// Why the other end, or the way there, ended the stream; `nil`: it did not.
    var resetReason: ResetReason? { state.withLock { $0.resetReason } }

    /// Takes the socket over; in a stream that was opened to here, says that there is one.
    package func attach(_ descriptor: Int32) {
        let other = duplicateDescriptor(descriptor)
        guard other >= 0 else {
            closeDescriptor(descriptor)
            return end(ResetReason(.limitExceeded, "too many descriptors are open"))
        }
        let source = ByteSource(descriptor, reactor: node.reactor, maximumRead: Self.maximum) { [self] in
            send($0)
        } onEnd: {
            [self] in
            if let key { node.sendEnd(key, flags: .bulk) }
            directionEnded()
        }
        let sink = ByteSink(other, reactor: node.reactor) { [self] in
            if let key { node.consumed(key, payload: $0) }
        } onEnd: { [self] isBroken in
            if isBroken { end(ResetReason(.cancelled, "the connection is gone")) } else { directionEnded() }
        }
        let (isOver, opened, isAwaiting, early, hasEnded) = state.withLock { state in
            defer { (state.source, state.sink, state.early) = state.isOver ? (nil, nil, []) : (source, sink, []) }
            return (state.isOver, state.key, state.isAwaitingWord, state.early, state.hasEndedEarly)
        }
        guard !isOver else {
            source.close()
            return sink.close()
        }
        if let opened, !isAwaiting {
            // The word is empty.
            _ = node.sendData(opened, UnsafeRawBufferPointer(start: nil, count: 0), flags: .bulk)
        }
        for bytes in early { sink.write(bytes) }
        if hasEnded { sink.finish() }
        if !isAwaiting { source.resume() }
    }

    // MARK: Flow

    private func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let key, case .sent = node.sendData(key, bytes, flags: .bulk) else { return false }
        return hasRoom(key)
    }

    private func hasRoom(_ key: StreamKey) -> Bool { (node.sendablePayload(key) ?? 0) >= Self.maximum }

    package func creditArrived() {
        let (key, source) = state.withLock { ($0.key, $0.isAwaitingWord ? nil : $0.source) }
        if let key, hasRoom(key) { source?.resume() }
    }

    package func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        if kind == .data, isWord(payload) { return }
        let bytes = Array(payload)
        let sink = state.withLock { state -> ByteSink? in
            guard !state.isOver else { return nil }
            if state.sink == nil {
                if !bytes.isEmpty { state.early.append(bytes) }
                if kind == .end { state.hasEndedEarly = true }
            }
            return state.sink
        }
        guard let sink else { return }
        if !bytes.isEmpty { sink.write(bytes) } else if kind == .data, let key { node.consumed(key, payload: 0) }
        if kind == .end { sink.finish() }
    }

    private func isWord(_ payload: UnsafeRawBufferPointer) -> Bool {
        let source = state.withLock { state -> ByteSource?? in
            guard state.isAwaitingWord, payload.isEmpty else { return .none }
            state.isAwaitingWord = false
            return .some(state.source)
        }
        guard let source else { return false }
        if let key { node.consumed(key, payload: 0) }
        source?.resume()
        return true
    }

    private func directionEnded() {
        let isDone = state.withLock { state in
            state.openDirections -= 1
            return state.openDirections == 0
        }
        if isDone { release(nil) }
    }

    // MARK: End

    package func wasReset(_ reason: ResetReason) {
        let isRefusal = state.withLock { state in
            state.resetReason = reason
            return state.isAwaitingWord
        }
        release(isRefusal ? reason : nil, closes: true)
    }

    /// Ends the stream and the connection. Who opens it meanwhile has to look at ``isOver`` and to end it once more.
    package func end(_ reason: ResetReason) {
        release(nil, closes: true)
        if let key { node.reset(key, reason) }
    }

    /// - Parameter closes: also what is not written yet.
    private func release(_ refusal: ResetReason?, closes: Bool = false) {
        let (isFirst, source, sink) = state.withLock { state in
            defer { (state.isOver, state.source, state.sink, state.early) = (true, nil, nil, []) }
            return (!state.isOver, state.source, state.sink)
        }
        guard isFirst else { return }
        source?.close()
        if closes { sink?.close() }
        onEnd(self, refusal)
    }
}
