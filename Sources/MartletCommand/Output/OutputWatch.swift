import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Notices that the reader of our standard output has gone, even while there is nothing to write: `martlet run … | head -1`.
final class OutputWatch: EventHandler {
    static let closedError = EPIPE

    private let source: EventSource
    private let onClosed: @Sendable () -> Void

    /// - Returns: nil if standard output is not a pipe.
    init?(reactor: Reactor, onClosed: @escaping @Sendable () -> Void) {
        var status = stat()
        guard fstat(1, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
        // Opened anew, because being non-blocking is a property that copies of a descriptor share with other programs.
        let descriptor = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        source = EventSource(descriptor, reactor: reactor)
        self.onClosed = onClosed
    }

    func start() { try? source.watch(for: .readable, self) }

    func ready(_ readiness: Readiness) {
        guard readiness.contains(.closed) else { return }
        source.close()
        onClosed()
    }

    func stop() { source.close() }
}
