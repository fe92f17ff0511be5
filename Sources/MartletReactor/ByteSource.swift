import CMartlet
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Reads a pipe as fast as its consumer wants: told on the polling thread, paused and resumed from anywhere.
package final class ByteSource: EventHandler {
    private let source: EventSource
    /// What is not ours alone is not non-blocking: we ask each time.
    private let isShared: Bool
    private let isSocket: Bool
    private let maximumRead: Int
    private let state: Mutex<State>

    private struct Consumer {
        var onBytes: @Sendable (UnsafeRawBufferPointer) -> Bool
        var onEnd: @Sendable () -> Void
    }

    private struct State {
        /// `nil` when it is over: who may hold this source is not held by it then.
        var consumer: Consumer?
        /// What was read is not with the consumer yet.
        var isReading = false
        /// Counts the calls of `resume`, so that one that comes while `onBytes` runs is not undone by its `false`.
        var resumptions = 0
    }

    /// Takes `descriptor` over.
    ///
    /// - Parameters:
    ///   - isShared: others have the same open file, which stays as it is.
    ///   - maximumRead: the most bytes that one call of `onBytes` gets.
    ///   - onBytes: gets what was read; returns `false` to pause. If ``resume()`` was called meanwhile, it does not
    ///     pause: so a consumer may get one more read than it has asked for.
    ///   - onEnd: called once, at the end of the input or when reading fails; not after ``close()``.
    package init(
        _ descriptor: Int32,
        reactor: Reactor,
        isShared: Bool = false,
        maximumRead: Int = 65_536,
        onBytes: @escaping @Sendable (UnsafeRawBufferPointer) -> Bool,
        onEnd: @escaping @Sendable () -> Void
    ) {
        source = EventSource(descriptor, reactor: reactor, isShared: isShared)
        self.isShared = isShared
        var status = stat()
        isSocket = isShared && fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
        self.maximumRead = maximumRead
        state = Mutex(State(consumer: Consumer(onBytes: onBytes, onEnd: onEnd)))
    }

    /// Begins to read, or goes on. What cannot be polled, as a regular file, is over at once.
    package func resume() {
        do {
            try state.withLock { state throws(SystemError) in
                state.resumptions &+= 1
                try source.watch(for: .readable, self)
            }
        } catch {
            finish()
        }
    }

    package func pause() { state.withLock { _ in try? source.watch(for: [], self) } }

    package func ready(_ readiness: Readiness) {
        let (consumer, resumptions) = state.withLock { state in
            state.isReading = true
            return (state.consumer, state.resumptions)
        }
        defer { state.withLock { $0.isReading = false } }
        guard let consumer else { return }
        withUnsafeTemporaryAllocation(byteCount: maximumRead, alignment: 16) { buffer in
            let count = receive(buffer)
            if count > 0 {
                guard !consumer.onBytes(UnsafeRawBufferPointer(rebasing: buffer[0..<count])) else { return }
                state.withLock { state in
                    if state.resumptions == resumptions { try? source.watch(for: [], self) }
                }
            } else if count == 0 || (count != -Int(EAGAIN) && count != -Int(EINTR)) {
                finish()
            }
        }
    }

    /// - Returns: how many bytes, 0 at the end, or the negative value of `errno`.
    private func receive(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        if isSocket { return martlet_socket_read(source.descriptor, buffer.baseAddress!, buffer.count) }
        // Another who reads it may have been faster than we.
        if isShared, !isReadable { return -Int(EAGAIN) }
        let count = read(source.descriptor, buffer.baseAddress!, buffer.count)
        return count < 0 ? -Int(errno) : count
    }

    private func finish() {
        let consumer = end()
        source.close()
        consumer?.onEnd()
    }

    private func end() -> Consumer? {
        state.withLock { state in
            defer { state.consumer = nil }
            return state.consumer
        }
    }

    private var isReadable: Bool {
        var waiting = pollfd(fd: source.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 0) != 0
    }

    /// Whether nothing waits to be read, and the consumer has had all that was.
    package var isEmpty: Bool {
        // In this order: what is not there any more is being read.
        state.withLock { $0.consumer == nil } || (!isReadable && state.withLock { !$0.isReading })
    }

    /// Stops reading from a socket for good, so that who writes there is told; `onEnd` is not called.
    ///
    /// - Returns: `false` if it was over.
    package func hangUp() -> Bool {
        let consumer = state.withLock { state in
            defer { state.consumer = nil }
            if state.consumer != nil { shutdown(source.descriptor, Int32(SHUT_RD)) }
            return state.consumer
        }
        source.close()
        return consumer != nil
    }

    /// Stops reading for good; `onEnd` is not called. One call of `onBytes` may be under way on the polling thread.
    package func close() {
        _ = end()
        source.close()
    }
}
