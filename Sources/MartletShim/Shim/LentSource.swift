import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Reads what a tool writes to its `ssh`, from the tool's own pipe or socket, into messages: the first byte of each is the
/// reader's to fill.
final class LentSource: EventHandler {
    private let source: EventSource
    private let isSocket: Bool
    /// The polling thread's own.
    private nonisolated(unsafe) let room: UnsafeMutableRawBufferPointer
    private let onMessage: @Sendable (UnsafeMutableRawBufferPointer) -> Bool
    private let onEnd: @Sendable () -> Void
    private let state = Mutex(State())

    private struct State {
        var isOver = false
        /// As that of `ByteSource`.
        var resumptions = 0
    }

    /// - Parameters:
    ///   - maximum: the most bytes of a message, with the first.
    ///   - onMessage: returns `false` to pause.
    ///   - onEnd: called once, at the end of what comes or when reading fails.
    init(
        _ descriptor: Int32, reactor: Reactor, maximum: Int,
        onMessage: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Bool, onEnd: @escaping @Sendable () -> Void
    ) {
        isSocket = isSocketDescriptor(descriptor)
        source = EventSource(descriptor, reactor: reactor, isShared: isSocket)
        room = .allocate(byteCount: maximum, alignment: 16)
        self.onMessage = onMessage
        self.onEnd = onEnd
    }

    deinit { room.deallocate() }

    func resume() {
        let failed = state.withLock { state in
            state.resumptions &+= 1
            return !state.isOver && (try? source.watch(for: .readable, self)) == nil
        }
        if failed { finish() }
    }

    /// On the polling thread, so `room` is nobody else's.
    func ready(_ readiness: Readiness) {
        let (isOver, resumptions) = state.withLock { ($0.isOver, $0.resumptions) }
        guard !isOver else { return }
        let count: Int
        if isSocket {
            count = martlet_socket_read(source.descriptor, room.baseAddress! + 1, room.count - 1)
        } else {
            let result = read(source.descriptor, room.baseAddress! + 1, room.count - 1)
            count = result < 0 ? -Int(errno) : result
        }
        if count > 0 {
            guard !onMessage(UnsafeMutableRawBufferPointer(rebasing: room[0...count])) else { return }
            state.withLock { state in
                if state.resumptions == resumptions { try? source.watch(for: [], self) }
            }
        } else if count == 0 || (count != -Int(EAGAIN) && count != -Int(EINTR)) {
            finish()
        }
    }

    private func finish() {
        if stop() { onEnd() }
    }

    /// - Returns: `false` if it was over.
    @discardableResult
    private func stop() -> Bool {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        source.close()
        return isFirst
    }

    func close() { stop() }
}

func isSocketDescriptor(_ descriptor: Int32) -> Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
}
