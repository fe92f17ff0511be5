import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Our standard input, as it comes, at the pace of whoever wants it.
///
/// One iteration only. It ends early when its task is cancelled, though nothing may ever come.
package struct StandardInput: AsyncSequence, Sendable {
    package typealias Element = [UInt8]
    package typealias Failure = any Error

    private let isOptional: Bool

    /// - Parameter isOptional: if it is closed, it is at its end; else that is an error.
    package init(isOptional: Bool = false) { self.isOptional = isOptional }

    package func makeAsyncIterator() -> Iterator { Iterator(isOptional) }

    package struct Iterator: AsyncIteratorProtocol {
        private let feed: Feed

        init(_ isOptional: Bool) { feed = Feed(isOptional) }

        package func next() async throws -> [UInt8]? { try await feed.next() }
    }

    /// What can be polled is read when something is there, in a description of its own: being non-blocking is a property
    /// that copies of a descriptor share with other programs; sockets, and what is another user's, cannot be opened anew, and
    /// stay as they are. Files are read at once.
    private final class Feed: Sendable {
        private static let size = 65_536
        private let isOptional: Bool
        private let source = Mutex<ByteSource?>(nil)
        private let state = Mutex(State())

        private struct State {
            var chunk: [UInt8]?
            var isOver = false
            var waiter: UnsafeContinuation<Void, Never>?
        }

        init(_ isOptional: Bool) {
            self.isOptional = isOptional
            var status = stat()
            guard fstat(0, &status) == 0 else { return }
            let isPollable = status.st_mode & S_IFMT == S_IFIFO || status.st_mode & S_IFMT == S_IFSOCK || isatty(0) == 1
            guard isPollable else { return }
            var descriptor = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
            let isShared = descriptor < 0
            if isShared { descriptor = duplicateDescriptor(0) }
            guard descriptor >= 0 else { return }
            source.withLock { source in
                source = ByteSource(
                    descriptor, reactor: .shared, isShared: isShared, maximumRead: Self.size
                ) { [weak self] bytes in
                    self?.change { $0.chunk = ($0.chunk ?? []) + Array(bytes) }
                    return false
                } onEnd: { [weak self] in
                    self?.change { $0.isOver = true }
                }
            }
        }

        deinit { source.withLock { $0?.close() } }

        private func change(_ body: (inout State) -> Void) {
            let waiter = state.withLock { state in
                body(&state)
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }

        func next() async throws -> [UInt8]? {
            guard let source = source.withLock({ $0 }) else { return try read() }
            while true {
                try Task.checkCancellation()
                let (chunk, isOver) = state.withLock { state in
                    defer { state.chunk = nil }
                    return (state.chunk, state.isOver)
                }
                if let chunk { return chunk }
                if isOver { return nil }
                source.resume()
                await withTaskCancellationHandler {
                    await awaitChange()
                } onCancel: {
                    change { _ in }
                }
            }
        }

        private func awaitChange() async {
            await withUnsafeContinuation { continuation in
                let isNow = state.withLock { state in
                    let isNow = state.chunk != nil || state.isOver || Task.isCancelled
                    if !isNow { state.waiter = continuation }
                    return isNow
                }
                if isNow { continuation.resume() }
            }
        }

        private func read() throws(SystemError) -> [UInt8]? {
            var buffer = [UInt8](repeating: 0, count: Self.size)
            while true {
                let count = buffer.withUnsafeMutableBytes { Self.read($0) }
                if count > 0 { return Array(buffer[..<count]) }
                if count == 0 { return nil }
                guard errno == EINTR else {
                    if errno == EBADF, isOptional { return nil }
                    throw SystemError(errno, "read standard input")
                }
            }
        }

        private static func read(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
            #if canImport(Glibc)
            Glibc.read(0, buffer.baseAddress!, buffer.count)
            #else
            Musl.read(0, buffer.baseAddress!, buffer.count)
            #endif
        }
    }
}
