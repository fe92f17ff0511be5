import MartletLink
import MartletWire
import Synchronization

/// What the streams bring that lead to sides in other contexts.
extension ChannelPipe {
    func attach(_ stream: ChannelStream, at side: Side) {
        let isStale = state.withLock { state in
            if case .gone = state[side] { return true }
            state[side] = .stream(stream)
            runtime.channels.streamBegan(self)
            pump(from: side.other, &state)
            return false
        }
        if isStale, let key = stream.key { node.reset(key, ResetReason(.cancelled, "the channel is closed")) }
    }

    func received(_ payload: UnsafeRawBufferPointer, at stream: ChannelStream) {
        state.withLock { state in
            guard state.isAt(stream) else { return }
            let side = stream.side
            let isAwaited = !state[from: side].readers.isEmpty || !state[from: side].watchers.isEmpty
            state[from: side].buffer.append(payload: payload, isAwaited: isAwaited)
            if state[from: side].refusal != nil {
                state[from: side].buffer.discardAll()
                giveBack(from: side, &state)
            } else if case .stream = state[side.other] {
                pump(from: side, &state)
            } else if isAwaited {
                // Gathering is the reader's part, but it need not be woken for each frame of a large item.
                if state[from: side].buffer.hasItem() { state[from: side].wakeReader() }
                giveBack(from: side, &state)
            }
        }
    }

    func ended(_ ending: Ending, at stream: ChannelStream) {
        state.withLock { state in
            guard state.isAt(stream) else { return }
            let side = stream.side
            state[from: side].ending = ending
            refuse(from: side.other, ending.refusal, &state)
            // The stream's other direction ends with it.
            if state[from: side.other].ending == nil { state[from: side.other].ending = .closed }
            pump(from: side.other, &state)
            leave(stream, &state)
            told(from: side, &state)
        }
    }

    func creditArrived(at stream: ChannelStream) {
        state.withLock { state in
            if state.isAt(stream) { pump(from: stream.side.other, &state) }
        }
    }

    func lost(_ reason: ResetReason, at stream: ChannelStream) {
        state.withLock { state in
            guard state.isAt(stream) else { return }
            let side = stream.side
            leave(stream, &state)
            let isClose = reason.code == .cancelled
            let error = ResetError(reason: reason).channelError
            if state[from: side].ending == nil {
                state[from: side].ending = isClose ? .closed : .failed(CallAnswer.failure(error))
            }
            refuse(
                from: side.other, isClose ? [] : CallAnswer.failure(error), grace: isClose ? ChannelOffers.grace : 0,
                &state)
            told(from: side, &state)
        }
    }

    /// Whether nothing waits here that is to go to another context.
    var isDrained: Bool {
        state.withLock { state in
            for side in [Side.first, .second] {
                if case .stream = state[side], !state[from: side.other].buffer.isEmpty { return false }
            }
            return true
        }
    }
}

extension ResetError {
    /// As a channel's reader and writer see it.
    var channelError: MartletError {
        let code: MartletError.Code =
            switch reason.code {
            case .refused: .channelClosed
            case .limitExceeded: .limitExceeded
            case .protocolViolation: .protocolViolation
            case .contextDetached: .contextDetached
            default: .contextLost
            }
        return MartletError(code, "the channel was cut: \(reason.message)")
    }
}
