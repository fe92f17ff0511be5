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
    private let state = Mutex(State())

    private struct State {
        var waiting = Deque<[UInt8]>()
        var offset = 0
        var closesWhenDrained = false
        var isOver = false
    }

    /// Writes to a descriptor that somebody owns already. ``finish()`` and ``close()`` close it all the same.
    package init(_ source: EventSource, onWritten: @escaping @Sendable (Int) -> Void = { _ in }) {
        self.source = source
        self.onWritten = onWritten
    }

    /// Takes `descriptor` over.
    ///
    /// - Parameter onWritten: gets the size of each chunk that was written whole, or dropped because nobody reads the pipe
    ///   any more. It is called from the thread that wrote.
    package init(_ descriptor: Int32, reactor: Reactor, onWritten: @escaping @Sendable (Int) -> Void = { _ in }) {
        source = EventSource(descriptor, reactor: reactor)
        self.onWritten = onWritten
    }

    package func write(_ chunk: [UInt8]) {
        guard !chunk.isEmpty else { return }
        state.withLock { $0.waiting.append(chunk) }
        drain()
    }

    /// Closes the pipe when all that was handed over is written.
    package func finish() {
        state.withLock { $0.closesWhenDrained = true }
        drain()
    }

    /// Closes the pipe now.
    package func close() {
        state.withLock { state in
            state.isOver = true
            state.waiting.removeAll()
        }
        source.close()
    }

    package func ready(_ readiness: Readiness) { drain() }

    private func drain() {
        // Only one thread writes at a time, so that chunks stay in order: the lock is held across the writes.
        let (written, isDone) = state.withLock { state -> ([Int], Bool) in
            var written: [Int] = []
            while let chunk = state.waiting.first {
                if !state.isOver {
                    let count = chunk.withUnsafeBytes {
                        Self.writeSome(source.descriptor, $0.baseAddress! + state.offset, $0.count - state.offset)
                    }
                    if count < 0, errno == EINTR { continue }
                    if count < 0, errno == EAGAIN {
                        try? source.watch(for: .writable, self)
                        return (written, false)
                    }
                    if count < 0 { state.isOver = true } else { state.offset += count }
                    if !state.isOver, state.offset < chunk.count { continue }
                }
                written.append(chunk.count)
                state.waiting.removeFirst()
                state.offset = 0
            }
            if state.closesWhenDrained { state.isOver = true }
            if !state.isOver { try? source.watch(for: [], self) }
            return (written, state.isOver)
        }
        if isDone { source.close() }
        for count in written { onWritten(count) }
    }

    private static func writeSome(_ descriptor: Int32, _ pointer: UnsafeRawPointer, _ count: Int) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, pointer, count)
        #else
        Musl.write(descriptor, pointer, count)
        #endif
    }
}
