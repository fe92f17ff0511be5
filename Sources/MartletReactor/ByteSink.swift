import DequeModule
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Writes to a pipe without blocking: what the pipe does not take waits here. The caller bounds it by what it hands over
/// before `onWritten` has told it off.
package final class ByteSink: EventHandler {
    private let source: EventSource
    private let onWritten: @Sendable (Int) -> Void
    private let onEnd: (@Sendable (_ isBroken: Bool) -> Void)?
    private let state = Mutex(State())

    private struct State {
        var waiting = Deque<[UInt8]>()
        var offset = 0
        var closesWhenDrained = false
        var isOver = false
        var isBroken = false
        /// A thread is in `drain`; it sees to what others add.
        var isDraining = false
        /// The pipe is full: the polling thread tells when it is not.
        var isFull = false
        /// See ``finish(typing:)``.
        var last: [UInt8] = []
    }

    /// Writes to a descriptor that somebody owns already. ``finish()`` and ``close()`` close it all the same.
    package init(_ source: EventSource, onWritten: @escaping @Sendable (Int) -> Void = { _ in }) {
        self.source = source
        self.onWritten = onWritten
        onEnd = nil
    }

    /// Takes `descriptor` over.
    ///
    /// - Parameter onWritten: gets the size of each chunk that was written whole, or dropped because nobody reads the
    ///   pipe any more. It is called from the thread that wrote, one call at a time, and may call ``write(_:)``.
    /// - Parameter onEnd: told when all is written after ``finish()``, or when nobody reads any more. With it, the descriptor is a
    ///   connection's, whose one direction ``finish()`` ends.
    package init(
        _ descriptor: Int32, reactor: Reactor, onWritten: @escaping @Sendable (Int) -> Void = { _ in },
        onEnd: (@Sendable (_ isBroken: Bool) -> Void)? = nil
    ) {
        source = EventSource(descriptor, reactor: reactor)
        self.onWritten = onWritten
        self.onEnd = onEnd
    }

    package func write(_ chunk: [UInt8]) {
        guard !chunk.isEmpty else { return }
        state.withLock { $0.waiting.append(chunk) }
        drain()
    }

    /// Closes the pipe when all that was handed over is written.
    ///
    /// - Parameter last: written behind it; nobody is told.
    package func finish(typing last: [UInt8] = []) {
        state.withLock { state in
            state.closesWhenDrained = true
            state.last = last
        }
        drain()
    }

    /// Closes the pipe now, and drops what is not written, without a call of `onWritten`.
    package func close() {
        state.withLock { state in
            state.isOver = true
            state.waiting.removeAll()
        }
        source.close()
    }

    package func ready(_ readiness: Readiness) {
        state.withLock { $0.isFull = false }
        drain()
    }

    private func drain() {
        // A loop, not a recursion by way of `onWritten`: a reader that keeps pace would make that endless.
        let isOther = state.withLock { state in
            if state.isDraining || (state.isFull && !state.isOver) { return true }
            state.isDraining = true
            return false
        }
        if isOther { return }
        while true {
            let (written, isDone) = state.withLock { drainOnce(&$0) }
            if isDone { end() }
            if written.isEmpty { return }
            for count in written { onWritten(count) }
        }
    }

    private func end() {
        guard let onEnd else { return source.close() }
        let isBroken = state.withLock { $0.isBroken }
        if !isBroken { _ = shutdown(source.descriptor, Int32(SHUT_WR)) }
        source.close()
        onEnd(isBroken)
    }

    /// The lock is held across the writes, so that no other thread closes the descriptor meanwhile.
    private func drainOnce(_ state: inout State) -> (written: [Int], isDone: Bool) {
        var written: [Int] = []
        defer { state.isDraining = !written.isEmpty }
        guard !state.isFull || state.isOver else { return ([], false) }
        while let chunk = state.waiting.first {
            if !state.isOver {
                let count = chunk.withUnsafeBytes {
                    Self.writeSome(source.descriptor, $0.baseAddress! + state.offset, $0.count - state.offset)
                }
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN, (try? source.watch(for: .writable, self)) != nil {
                    state.isFull = true
                    return (written, false)
                }
                if count < 0 { (state.isOver, state.isBroken) = (true, true) } else { state.offset += count }
                if !state.isOver, state.offset < chunk.count { continue }
            }
            written.append(chunk.count)
            state.waiting.removeFirst()
            state.offset = 0
        }
        if state.closesWhenDrained {
            while !state.isOver, !state.last.isEmpty {
                let count = state.last.withUnsafeBytes { Self.writeSome(source.descriptor, $0.baseAddress!, $0.count) }
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN, (try? source.watch(for: .writable, self)) != nil {
                    state.isFull = true
                    return (written, false)
                }
                state.last.removeFirst(count < 0 ? state.last.count : count)
            }
            state.isOver = true
        }
        if !state.isOver { try? source.watch(for: [], self) }
        return (written, state.isOver)
    }

    private static func writeSome(_ descriptor: Int32, _ pointer: UnsafeRawPointer, _ count: Int) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, pointer, count)
        #else
        Musl.write(descriptor, pointer, count)
        #endif
    }
}
