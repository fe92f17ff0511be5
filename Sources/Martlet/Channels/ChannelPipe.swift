import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// A channel as far as this context knows it: two sides, and a flow from each to the other.
///
///     here ──passed on──▶ offered ──claimed──▶ stream ──both ended, lost──▶ gone
///       │ ◀──taken back──┘  └──────never claimed──────────────────────────▶ gone
///       └───────────────closed, or nobody holds it any more───────────────▶ gone
///
/// Whatever the sides are, bytes pass: from here to a stream, from a stream to here, and where both ends were passed on,
/// from stream to stream. What a flow holds is bounded: a local writer waits above ``limit``, and what came over a stream
/// costs that stream's credit until it is taken. Lock order: `state`, then the node's.
final class ChannelPipe: Sendable {
    enum Side: Int, Sendable {
        case first = 0
        case second = 1

        var other: Side { self == .first ? .second : .first }
    }

    /// A side's last word: it neither writes nor reads any more. (Who has only finished says so by
    /// ``ChannelBuffer/finishMark``.)
    enum Ending: Sendable {
        case closed
        /// Closed with an error: a ``CallAnswer``.
        case failed([UInt8])

        var wire: [UInt8] {
            switch self {
            case .closed: [0]
            case .failed(let bytes): [1] + bytes.prefix(FrameHeader.maximumPayload - 1)
            }
        }

        init(wire: UnsafeRawBufferPointer) {
            self = wire.first == 1 ? .failed(Array(wire.dropFirst())) : .closed
        }

        /// What a writer at the other side is told: a ``CallAnswer`` with the error, or empty for a plain close.
        var refusal: [UInt8] { if case .failed(let bytes) = self { bytes } else { [] } }

        static func failed(_ code: MartletError.Code, _ message: String) -> Ending {
            .failed(CallAnswer.failure(MartletError(code, message)))
        }
    }

    private enum Place {
        case here
        case offered
        case stream(ChannelStream)
        case gone
    }

    private struct Flow {
        var buffer = ChannelBuffer()
        /// What the writer said last; it counts when all before it was taken.
        var ending: Ending?
        /// The reader knows the ending.
        var isEndTold = false
        /// The writer will not write any more, though it reads.
        var isFinished = false
        /// The reader wants no more, and why: see ``Ending/refusal``.
        var refusal: [UInt8]?
        var readers = Deque<ChannelWaiter>()
        var writers = Deque<ChannelWaiter>()
        /// Who wants to know that something has come or ended, and does not take it: all of them are told.
        var watchers: [ChannelWaiter] = []
        var isFlushDue = false
        /// Ends that were passed on in items of this flow.
        var carried: [ChannelToken] = []

        mutating func wakeReader() {
            tellWatchers()
            while let waiter = readers.popFirst(), !waiter.fire(.ready) {}
        }

        private mutating func tellWatchers() {
            guard !watchers.isEmpty else { return }
            for waiter in watchers { waiter.fire(.ready) }
            watchers = []
        }

        mutating func wakeWriter() { while let waiter = writers.popFirst(), !waiter.fire(.ready) {} }
        mutating func wakeAll() {
            tellWatchers()
            for waiter in readers { waiter.fire(.ready) }
            for waiter in writers { waiter.fire(.ready) }
            (readers, writers) = ([], [])
        }
    }

    private struct State {
        /// By side.
        private var places = [Place.here, .here]
        /// By their writers.
        private var flows = [Flow(), Flow()]

        subscript(side: Side) -> Place {
            get { places[side.rawValue] }
            set { places[side.rawValue] = newValue }
        }

        /// The flow that `side` writes.
        subscript(from side: Side) -> Flow {
            _read { yield flows[side.rawValue] }
            _modify { yield &flows[side.rawValue] }
        }

        func isAt(_ stream: ChannelStream) -> Bool {
            if case .stream(let current) = self[stream.side] { current === stream } else { false }
        }
    }

    /// How much one side may have written that the other has not taken, before its writers wait, in bytes.
    static let limit = 256 * 1024
    /// So much that was written is sent at once; less waits for the end of the burst.
    private static let burst = 64 * 1024

    private let runtime: ContextRuntime
    private let state = Mutex(State())
    private var node: ContextNode { runtime.node }

    init(_ runtime: ContextRuntime) { self.runtime = runtime }

    private static let shuttingDown = CallAnswer.failure(
        MartletError(.contextLost, "nothing more can be sent: the context is shutting down"))

    // MARK: Local ends

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

    private func shut(_ side: Side, _ ending: Ending, _ state: inout State) {
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

    // MARK: Passing on

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

    // MARK: Streams

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

    // MARK: Within the lock

    /// What `side` writes is not wanted any more.
    ///
    /// - Parameter grace: how long what was passed on in it may still be taken.
    private func refuse(
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
    private func told(from side: Side, _ state: inout State) {
        if case .stream = state[side.other] { pump(from: side, &state) } else { state[from: side].wakeAll() }
    }

    private func leave(_ stream: ChannelStream, _ state: inout State) {
        guard state.isAt(stream) else { return }
        state[stream.side] = .gone
        runtime.channels.streamEnded(self)
    }

    /// Lets the stream that brought what was taken bring more.
    private func giveBack(from side: Side, _ state: inout State) {
        guard let count = state[from: side].buffer.takeFreed(), case .stream(let stream) = state[side],
            let key = stream.key
        else { return }
        node.consumed(key, payload: count)
    }

    /// Sends what `side` has written to the stream at the other side, as far as there is credit.
    private func pump(from side: Side, _ state: inout State) {
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
