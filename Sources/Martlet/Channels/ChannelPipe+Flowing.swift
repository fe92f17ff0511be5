import MartletLink
import MartletWire

/// How the bytes of a flow go on, and how it ends. All of it is called within the lock of `state`.
extension ChannelPipe {
    /// What `side` writes is not wanted any more.
    ///
    /// - Parameter grace: how long what was passed on in it may still be taken.
    func refuse(
        from side: Side, _ reason: [UInt8], grace: UInt64 = ChannelOffers.grace, _ state: inout State
    ) {
        if state[from: side].refusal == nil { state[from: side].refusal = reason }
        state[from: side].buffer.discardAll()
        giveBack(from: side, &state)
        state[from: side].wakeAll()
        let carried = state[from: side].carried
        state[from: side].carried = []
        runtime.channels.abandon(carried, after: grace, runtime.reactor)
    }

    /// The flow from `side` has ended: its reader is to learn it.
    func told(from side: Side, _ state: inout State) {
        if case .stream = state[side.other] { pump(from: side, &state) } else { state[from: side].wakeAll() }
    }

    func leave(_ stream: ChannelStream, _ state: inout State) {
        guard state.isAt(stream) else { return }
        state[stream.side] = .gone
        runtime.channels.streamEnded(self)
    }

    /// Lets the stream that brought what was taken bring more.
    func giveBack(from side: Side, _ state: inout State) {
        guard let count = state[from: side].buffer.takeFreed(), case .stream(let stream) = state[side],
            let key = stream.key
        else { return }
        node.consumed(key, payload: count)
    }

    /// Sends what `side` has written to the stream at the other side, as far as there is credit.
    func pump(from side: Side, _ state: inout State) {
        guard case .stream(let stream) = state[side.other], let key = stream.key else { return }
        defer {
            giveBack(from: side, &state)
            // Also if only a part of it could go.
            if state[from: side].buffer.count < Self.limit { state[from: side].wakeWriter() }
        }
        while let front = state[from: side].buffer.first(FrameHeader.maximumPayload) {
            // Small pieces would waste frames: wait for room for all of it.
            guard let room = node.sendablePayload(key), room >= front.count,
                case .sent = front.withUnsafeBytes({ node.sendData(key, $0, flags: .bulk) })
            else { return }
            state[from: side].buffer.advance(front.count)
        }
        guard let ending = state[from: side].ending, !state[from: side].isEndTold else { return }
        state[from: side].isEndTold = true
        node.sendEnd(key, ending.wire, flags: .bulk)
    }
}
