import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// Hands messages of all contexts to code of the user's, one after the other and never on the polling thread: it may block.
///
/// One task does it for all, taking from each child in turn. Code that blocks holds up what waits here, and one thread:
/// were there a task for each stream, a child could take all threads by opening many. What came over a stream costs its
/// credit until it is taken, so that its writer waits. What waits in all has a bound for each child, whatever contexts
/// below it claim to speak; what comes beyond that is dropped and counted.
final class MessageIntake: Sendable {
    /// What hands over one message. `opener` is whose stream it came over; `nil`: this process itself has read it.
    typealias Handler = @Sendable (_ runtime: ContextRuntime, _ opener: ContextAddress?, _ message: [UInt8]) -> Void
    /// What tells of messages that were dropped, where they would have come.
    typealias Note = @Sendable (_ runtime: ContextRuntime, _ child: UInt32, _ dropped: Int) -> Void

    /// Small messages of one stream are kept together up to this size, in bytes: one that blocks gets few at once, and many
    /// cost no more memory than credit.
    private static let batchSize = 16 * 1024
    private static let headCount = 4

    private struct Batch {
        var stream: IncomingMessages?
        /// Messages, each behind its length.
        var bytes: [UInt8]
        /// Of `data`, what it has cost the stream.
        var credit = 0
        var cost = 0
        /// How many messages were dropped before these, and behind them if nothing has come since.
        var droppedBefore = 0
        var droppedBehind = 0
    }

    private struct Share {
        var batches = Deque<Batch>()
        var bytes = 0
        var dropped = 0

        mutating func append(
            _ message: UnsafeRawBufferPointer, _ cost: Int, isData: Bool, _ stream: IncomingMessages?
        ) {
            bytes += cost
            if dropped > 0 || batches.last.map({ $0.stream !== stream || $0.cost + cost > batchSize }) ?? true {
                batches.append(Batch(stream: stream, bytes: [], droppedBefore: dropped))
                dropped = 0
            }
            let last = batches.count - 1
            withUnsafeBytes(of: UInt32(message.count)) { batches[last].bytes.append(contentsOf: $0) }
            batches[last].bytes.append(contentsOf: message)
            batches[last].cost += cost
            if isData { batches[last].credit += cost }
        }
    }

    private struct State {
        var shares: [UInt32: Share] = [:]
        /// Children of whom something waits, in the order of their turns.
        var turns = Deque<UInt32>()
        var isRunning = false
        var isClosed = false
    }

    private let limit: Int
    private let handler: Handler
    private let note: Note
    private let state = Mutex(State())
    private let idle = CreditGate()

    /// - Parameter limit: what waits of one child, in bytes, each message with what a frame costs.
    init(limit: Int, handler: @escaping Handler, note: @escaping Note) {
        self.limit = limit
        self.handler = handler
        self.note = note
    }

    /// - Parameters:
    ///   - isData: it cost its stream's credit, which goes back when it is taken, or at once if it is not kept.
    ///   - child: the child through which it came.
    func add(
        _ message: UnsafeRawBufferPointer, isData: Bool, _ stream: IncomingMessages?, from child: UInt32,
        _ runtime: ContextRuntime
    ) {
        let cost = StreamState.cost(ofPayload: message.count)
        let (isKept, isFirst) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            let (waiting, dropped) = state.shares[child].map { ($0.bytes, $0.dropped) } ?? (0, 0)
            // Once some are dropped, all are until there is room for many: few gaps, not many.
            guard waiting + cost <= (dropped > 0 ? limit / 2 : limit) else {
                state.shares[child]?.dropped += 1
                return (false, false)
            }
            if state.shares[child] == nil { state.turns.append(child) }
            state.shares[child, default: Share()].append(message, cost, isData: isData, stream)
            defer { state.isRunning = true }
            return (true, !state.isRunning)
        }
        if !isKept, isData { stream?.consumed(message.count) }
        // It ends when nothing waits.
        if isFirst { Task(executorPreference: runtime.reactor) { [self] in run(runtime) } }
    }

    private func next() -> (Batch, child: UInt32)? {
        state.withLock { state in
            guard let child = state.turns.popFirst(), var share = state.shares[child] else {
                state.isRunning = false
                return nil
            }
            state.shares[child] = nil
            var batch = share.batches.removeFirst()
            share.bytes -= batch.cost
            if share.batches.isEmpty {
                batch.droppedBehind = share.dropped
            } else {
                state.shares[child] = share
                state.turns.append(child)
            }
            return (batch, child)
        }
    }

    private func run(_ runtime: ContextRuntime) {
        while let (batch, child) = next() {
            if batch.credit > 0 { batch.stream?.consumed(batch.credit - StreamState.frameCost) }
            if batch.droppedBefore > 0 { note(runtime, child, batch.droppedBefore) }
            var offset = 0
            while offset < batch.bytes.count, !state.withLock({ $0.isClosed }) {
                let start = offset + Self.headCount
                let length = batch.bytes.withUnsafeBytes {
                    Int($0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                }
                handler(runtime, batch.stream?.key.opener, Array(batch.bytes[start..<start + length]))
                offset = start + length
            }
            if batch.droppedBehind > 0 { note(runtime, child, batch.droppedBehind) }
        }
        idle.open()
    }

    /// Waits until all that has come is handed over. What is left after `limit` nanoseconds, and what comes later, is thrown
    /// away.
    func drain(within limit: UInt64, _ reactor: Reactor) async {
        let deadline = Reactor.now + limit
        let timer = reactor.schedule(at: deadline) { [idle] in idle.open() }
        while true {
            let generation = idle.generation
            guard state.withLock({ $0.isRunning }), Reactor.now < deadline else { break }
            await idle.wait(since: generation)
        }
        reactor.cancel(timer)
        state.withLock { state in
            state.isClosed = true
            (state.shares, state.turns) = ([:], [])
        }
    }
}
