import CMartlet
import DequeModule
import Martlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Writes what a command says into the pipe or socket that a tool reads, straight from the frame that it came in. What is not
/// taken at once is kept: no more than the stream's credit.
final class LentSink: EventHandler {
    private let source: EventSource
    private let isSocket: Bool
    private let onWritten: @Sendable (Int) -> Void
    private let onDone: @Sendable (_ isBroken: Bool) -> Void
    private let state = Mutex(State())

    private struct State {
        var waiting = Deque<(bytes: [UInt8], cost: Int)>()
        var offset = 0
        var isFinishing = false
        var isOver = false
    }

    /// - Parameters:
    ///   - onWritten: gets the `cost` of each piece that was written, or dropped as nobody reads it.
    ///   - onDone: called once, when all is written and closed after ``finish()``, or when the reader has gone.
    init(
        _ descriptor: Int32, reactor: Reactor, onWritten: @escaping @Sendable (Int) -> Void,
        onDone: @escaping @Sendable (_ isBroken: Bool) -> Void
    ) {
        isSocket = isSocketDescriptor(descriptor)
        source = EventSource(descriptor, reactor: reactor, isShared: isSocket)
        self.onWritten = onWritten
        self.onDone = onDone
    }

    /// - Parameter cost: what ``onWritten`` gets for it.
    func write(_ bytes: UnsafeRawBufferPointer, cost: Int) {
        if bytes.isEmpty { return onWritten(cost) }
        enum Outcome { case written, kept, dropped, broken }
        let outcome = state.withLock { state -> Outcome in
            guard !state.isOver else { return .dropped }
            var rest = bytes
            if state.waiting.isEmpty {
                let count = writeSome(rest)
                guard count >= 0 else { return fail(&state) ? .broken : .dropped }
                if count == rest.count { return .written }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                guard (try? source.watch(for: .writable, self)) != nil else { return fail(&state) ? .broken : .dropped }
            }
            state.waiting.append((Array(rest), cost))
            return .kept
        }
        switch outcome {
        case .kept: break
        case .written, .dropped: onWritten(cost)
        case .broken:
            onWritten(cost)
            broken()
        }
    }

    /// Closes it when all is written.
    func finish() {
        let isDone = state.withLock { state -> Bool in
            guard !state.isOver, !state.isFinishing else { return false }
            state.isFinishing = true
            state.isOver = state.waiting.isEmpty
            return state.isOver
        }
        if isDone { done() }
    }

    /// Closes it now; nobody is told.
    func close() {
        state.withLock { state in
            state.isOver = true
            state.waiting.removeAll()
        }
        source.close()
    }

    func ready(_ readiness: Readiness) {
        var costs: [Int] = []
        let (isBroken, isDone) = state.withLock { state -> (Bool, Bool) in
            guard !state.isOver else { return (false, false) }
            while let (bytes, cost) = state.waiting.first {
                let count = bytes.withUnsafeBytes { writeSome(UnsafeRawBufferPointer(rebasing: $0[state.offset...])) }
                guard count >= 0 else {
                    costs += state.waiting.map(\.cost)
                    return (fail(&state), false)
                }
                state.offset += count
                guard state.offset == bytes.count else { return (false, false) }
                costs.append(cost)
                state.offset = 0
                state.waiting.removeFirst()
            }
            try? source.watch(for: [], self)
            state.isOver = state.isFinishing
            return (false, state.isOver)
        }
        for cost in costs { onWritten(cost) }
        if isBroken { broken() }
        if isDone { done() }
    }

    /// - Returns: the count, 0 if it would wait, -1 if nobody reads any more.
    private func writeSome(_ bytes: UnsafeRawBufferPointer) -> Int {
        while true {
            var count: Int
            if isSocket {
                count = martlet_socket_write(source.descriptor, bytes.baseAddress!, bytes.count)
            } else {
                count = writeBytes(source.descriptor, bytes.baseAddress!, bytes.count)
                if count < 0 { count = -Int(errno) }
            }
            if count >= 0 { return count }
            if count == -Int(EAGAIN) { return 0 }
            if count != -Int(EINTR) { return -1 }
        }
    }

    private func fail(_ state: inout State) -> Bool {
        state.isOver = true
        state.waiting.removeAll()
        return true
    }

    private func broken() {
        source.close()
        onDone(true)
    }

    private func done() {
        source.close()
        onDone(false)
    }
}
