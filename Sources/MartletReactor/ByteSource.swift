import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Reads a pipe as fast as its consumer wants: told on the polling thread, paused and resumed from anywhere.
package final class ByteSource: EventHandler {
    private let source: EventSource
    private let maximumRead: Int
    private let onBytes: @Sendable (UnsafeRawBufferPointer) -> Bool
    private let onEnd: @Sendable () -> Void
    private let isOver = Mutex(false)

    /// Takes `descriptor` over.
    ///
    /// - Parameters:
    ///   - maximumRead: the most bytes that one call of `onBytes` gets.
    ///   - onBytes: gets what was read; returns `false` to pause.
    ///   - onEnd: called once, at the end of the input or when reading fails; not after ``close()``.
    package init(
        _ descriptor: Int32,
        reactor: Reactor,
        maximumRead: Int = 65_536,
        onBytes: @escaping @Sendable (UnsafeRawBufferPointer) -> Bool,
        onEnd: @escaping @Sendable () -> Void
    ) {
        source = EventSource(descriptor, reactor: reactor)
        self.maximumRead = maximumRead
        self.onBytes = onBytes
        self.onEnd = onEnd
    }

    /// Begins to read, or goes on.
    package func resume() {
        do { try source.watch(for: .readable, self) } catch { finish() }
    }

    package func pause() { try? source.watch(for: [], self) }

    package func ready(_ readiness: Readiness) {
        withUnsafeTemporaryAllocation(byteCount: maximumRead, alignment: 16) { buffer in
            let count = read(source.descriptor, buffer.baseAddress!, buffer.count)
            if count > 0 {
                if !onBytes(UnsafeRawBufferPointer(rebasing: buffer[0..<count])) { pause() }
            } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                finish()
            }
        }
    }

    private func finish() {
        let isFirst = isOver.withLock { isOver in
            defer { isOver = true }
            return !isOver
        }
        source.close()
        if isFirst { onEnd() }
    }

    /// Stops reading for good; `onEnd` is not called.
    package func close() {
        isOver.withLock { $0 = true }
        source.close()
    }
}
