import MartletLink
import MartletWire
import Synchronization

/// How a side leaves this context, and what happens if nobody takes it.
extension ChannelPipe {
    /// Takes `side` out of this context's hands.
    ///
    /// - Returns: what claims it; `nil` if it is not here any more.
    func passOn(_ side: Side) throws(MartletError) -> ChannelToken? {
        let isHere = state.withLock { state in
            guard case .here = state[side] else { return false }
            state[side] = .offered
            state[from: side.other].buffer.putBackPart()
            state[from: side.other].wakeAll()
            state[from: side].wakeAll()
            return true
        }
        guard isHere else { return nil }
        guard let token = runtime.channels.offer(self, side) else {
            takeBack(side)
            throw MartletError(.limitExceeded, "too many channel ends wait to be taken by other contexts")
        }
        return token
    }

    /// It never left, or has come back.
    func takeBack(_ side: Side) {
        state.withLock { state in
            if case .offered = state[side] { state[side] = .here }
        }
    }

    /// There is no such side.
    func cut(_ side: Side, _ reason: ResetReason) {
        let answer = CallAnswer.failure(ResetError(reason: reason).channelError)
        state.withLock { state in
            state[side] = .gone
            state[from: side].ending = .failed(answer)
            refuse(from: side.other, answer, &state)
        }
    }

    /// Nobody will ever take it.
    func abandoned(at side: Side) {
        state.withLock { state in
            guard case .offered = state[side] else { return }
            state[side] = .gone
            let ending = Ending.failed(.channelClosed, "the other end was passed on, and nobody has taken it")
            if state[from: side].ending == nil { state[from: side].ending = ending }
            refuse(from: side.other, ending.refusal, &state)
            told(from: side, &state)
        }
    }
}
