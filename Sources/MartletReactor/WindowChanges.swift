import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Tells when this process's terminal has got another size (SIGWINCH), until it is closed or released.
package final class WindowChanges: Sendable {
    private struct Watch {
        var callbacks: [UInt64: @Sendable () -> Void] = [:]
        var next: UInt64 = 0
        var source: ByteSource?
        var before = sigaction()
    }

    // A signal handler can be handed nothing, so its pipe is a constant that is there before the handler is.
    private static let pipe = try? Pipe()
    private static let watch = Mutex(Watch())

    private let number: UInt64

    /// - Parameter onChange: called on the polling thread; it must not block.
    package init(reactor: Reactor = .shared, onChange: @escaping @Sendable () -> Void) {
        number = Self.watch.withLock { watch in
            watch.next += 1
            if watch.callbacks.isEmpty { Self.begin(&watch, reactor) }
            watch.callbacks[watch.next] = onChange
            return watch.next
        }
    }

    deinit { close() }

    package func close() {
        Self.watch.withLock { watch in
            guard watch.callbacks.removeValue(forKey: number) != nil, watch.callbacks.isEmpty else { return }
            sigaction(SIGWINCH, &watch.before, nil)
            watch.source?.close()
            watch.source = nil
        }
    }

    private static func begin(_ watch: inout Watch, _ reactor: Reactor) {
        guard let pipe else { return }
        let end = duplicateDescriptor(pipe.readEnd)
        guard end >= 0 else { return }
        watch.source = ByteSource(end, reactor: reactor) { _ in
            for callback in Self.watch.withLock({ Array($0.callbacks.values) }) { callback() }
            return true
        } onEnd: {
        }
        watch.source?.resume()
        var action = sigaction()
        let handler: @convention(c) (Int32) -> Void = { _ in
            let saved = errno
            var byte: UInt8 = 0
            if let pipe = WindowChanges.pipe { _ = write(pipe.writeEnd, &byte, 1) }
            errno = saved
        }
        #if canImport(Glibc)
        action.__sigaction_handler.sa_handler = handler
        #else
        action.__sa_handler.sa_handler = handler
        #endif
        action.sa_flags = Int32(truncatingIfNeeded: SA_RESTART)
        sigaction(SIGWINCH, &action, &watch.before)
    }
}
