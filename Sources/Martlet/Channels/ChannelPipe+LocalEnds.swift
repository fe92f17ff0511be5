import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// What the ends that are here do: write, take, wait, finish, close.
extension ChannelPipe {
    /// So much that was written is sent at once; less waits for the end of the burst.
    private static let burst = 64 * 1024
    private static let shuttingDown = CallAnswer.failure(
        MartletError(.contextLost, "nothing more can be sent: the context is shutting down"))

    enum Written {
        case done
        /// Wait, then write.
        case full
        /// A ``CallAnswer`` with the error, or empty: the other end was closed.
        case refused([UInt8])
        case passedOn
        case closed
    }

    /// Adds an item, which begins with its length, if there is room.
    ///
    /// - Parameters:
    ///   - content: the rest of an item that is a byte string.
    ///   - waiter: fired when there may be room.
    func write(
        _ item: [UInt8], content: [UInt8]? = nil, from side: Side, carrying tokens: [ChannelToken] = [],
        waiter: ChannelWaiter?
    ) -> Written {
        let (written, wantsFlush) = state.withLock { state -> (Written, Bool) in
            switch state[side] {
            case .offered, .stream: return (.passedOn, false)
            case .gone: return (.closed, false)
            case .here: break
            }
            if let refusal = state[from: side].refusal { return (.refused(refusal), false) }
            guard !state[from: side].isFinished else { return (.closed, false) }
            guard !runtime.channels.isDraining else { return (.refused(Self.shuttingDown), false) }
            guard state[from: side].buffer.count < Self.limit else {
                if let waiter { state[from: side].writers.append(waiter) }
                return (.full, false)
            }
            if let content {
                state[from: side].buffer.append(head: item, content: content)
            } else {
                state[from: side].buffer.append(item: item)
            }
            if !tokens.isEmpty { carry(tokens, from: side, &state) }
            guard case .stream = state[side.other] else {
                state[from: side].wakeReader()
                return (.done, false)
            }
            if state[from: side].buffer.count >= Self.burst {
                pump(from: side, &state)
                return (.done, false)
            }
            guard !state[from: side].isFlushDue else { return (.done, false) }
            state[from: side].isFlushDue = true
            return (.done, true)
        }
        if wantsFlush {
            let flusher = Flusher(pipe: self, side: side)
            if !runtime.reactor.flushSoon(flusher, evenAlone: true) { flusher.flush() }
        }
        return written
    }

    private func carry(_ tokens: [ChannelToken], from side: Side, _ state: inout State) {
        if state[from: side].carried.count >= 64 {
            state[from: side].carried.removeAll { runtime.channels.find($0) == nil }
        }
        state[from: side].carried += tokens
    }

    private final class Flusher: Flushable {
        let pipe: ChannelPipe
        let side: Side
        init(pipe: ChannelPipe, side: Side) { (self.pipe, self.side) = (pipe, side) }
        func flush() {
            pipe.state.withLock { state in
                state[from: side].isFlushDue = false
                pipe.pump(from: side, &state)
            }
        }
    }

    enum Taken {
        case item(ArraySlice<UInt8>)
        /// The content of an item that is a byte string; only for who asked for that.
        case content([UInt8])
        /// Wait, then take.
        case empty
        case end
        /// A ``CallAnswer`` with the error; told once.
        case failed([UInt8])
        case passedOn
    }

    /// Takes the next item that the other side has written.
    ///
    /// - Parameters:
    ///   - asContent: the reader takes byte strings only.
    ///   - waiter: fired when there may be one.
    func take(at side: Side, asContent: Bool = false, waiter: ChannelWaiter?) -> Taken {
        state.withLock { state in
            switch state[side] {
            case .offered, .stream: return .passedOn
            case .gone: return .end
            case .here: break
            }
            let writer = side.other
            state[from: writer].buffer.gathersContent = asContent
            let item = state[from: writer].buffer.takeItem()
            giveBack(from: writer, &state)
            switch item {
            case .item, .content:
                if state[from: writer].buffer.count < Self.limit { state[from: writer].wakeWriter() }
                // Woken for one item, one reader may have found many.
                if !state[from: writer].buffer.isEmpty { state[from: writer].wakeReader() }
                if case .content(let bytes) = item { return .content(bytes) }
                if case .item(let bytes) = item { return .item(bytes) }
                return .empty
            case .tooLarge:
                let ending = Ending.failed(.limitExceeded, ResetReason.valueTooLarge.message)
                shut(side, ending, &state)
                return .failed(ending.refusal)
            case .finish:
                return .end
            case .incomplete:
                guard let ending = state[from: writer].ending else {
                    if let waiter { state[from: writer].readers.append(waiter) }
                    return .empty
                }
                defer { state[from: writer].isEndTold = true }
                if case .failed(let bytes) = ending, !state[from: writer].isEndTold { return .failed(bytes) }
                return .end
            }
        }
    }

    /// Whether ``take(at:waiter:)`` would give something else than `empty`.
    ///
    /// - Parameter waiter: fired when that may have changed.
    func isReady(at side: Side, waiter: ChannelWaiter) -> Bool {
        state.withLock { state in
            guard case .here = state[side] else { return true }
            let writer = side.other
            let hasItem = state[from: writer].buffer.hasItem()
            giveBack(from: writer, &state)
            if hasItem || state[from: writer].ending != nil { return true }
            state[from: writer].watchers.append(waiter)
            return false
        }
    }

    /// What `waiter` waited for has come some other way.
    func forget(_ waiter: ChannelWaiter, at side: Side) {
        state.withLock { state in
            state[from: side.other].readers.removeAll { $0 === waiter }
            state[from: side.other].watchers.removeAll { $0 === waiter }
            state[from: side].writers.removeAll { $0 === waiter }
        }
    }

    /// Says that no more comes from `side`, which still reads.
    func finish(_ side: Side) {
        state.withLock { state in
            guard case .here = state[side], !state[from: side].isFinished else { return }
            state[from: side].isFinished = true
            guard state[from: side].refusal == nil else { return }
            state[from: side].buffer.append(item: ChannelBuffer.finishMark)
            told(from: side, &state)
        }
    }

    /// Closes `side` for reading and writing.
    func close(_ side: Side, _ ending: Ending) {
        state.withLock { state in
            guard case .here = state[side] else { return }
            shut(side, ending, &state)
        }
    }

    func shut(_ side: Side, _ ending: Ending, _ state: inout State) {
        state[side] = .gone
        state[from: side].ending = ending
        state[from: side.other].isEndTold = true
        refuse(from: side.other, [], &state)
        told(from: side, &state)
    }

    /// Whether the other side may still write something that has not been taken, or take something.
    func isOpen(_ side: Side) -> Bool {
        state.withLock { state in
            guard case .here = state[side] else { return false }
            return state[from: side].refusal == nil && !state[from: side].isFinished
        }
    }

    /// Whether the writer of the other side has ended, and how.
    ///
    /// - Parameter waiter: fired when that may have changed.
    func ending(seenBy side: Side, waiter: ChannelWaiter?) -> Ending? {
        state.withLock { state in
            if case .gone = state[side] { return .closed }
            if state[from: side.other].ending == nil, let waiter { state[from: side.other].watchers.append(waiter) }
            return state[from: side.other].ending
        }
    }
}
