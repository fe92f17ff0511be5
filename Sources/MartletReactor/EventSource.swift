import CMartlet
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A descriptor that the reactor watches and owns: it closes it when asked, never while a handler may be using it.
package final class EventSource: Sendable {
    package let descriptor: Int32
    private let reactor: Reactor
    private let registration: Mutex<Registration>

    private struct Registration {
        var token: UInt64?
        var interest: Readiness
        var isClosed = false
    }

    /// Takes `descriptor` over: makes it non-blocking and close-on-exec.
    package init(_ descriptor: Int32, reactor: Reactor) {
        self.descriptor = descriptor
        self.reactor = reactor
        registration = Mutex(Registration(token: nil, interest: []))
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    deinit { close() }

    /// Has `handler` told about `interest` from now on; an empty set stops it.
    ///
    /// - Throws: ``SystemError`` if the kernel cannot poll this descriptor: regular files are always ready.
    package func watch(for interest: Readiness, _ handler: any EventHandler) throws(SystemError) {
        let error: Int32 = registration.withLock { registration in
            guard !registration.isClosed, registration.interest != interest || registration.token == nil else { return 0 }
            if let token = registration.token {
                if interest.isEmpty {
                    forget(&registration)
                    return 0
                }
                registration.interest = interest
                return martlet_poller_control(reactor.poller, 1, descriptor, interest.mask, token)
            }
            guard !interest.isEmpty else { return 0 }
            let token = reactor.addSource(handler)
            let error = martlet_poller_control(reactor.poller, 0, descriptor, interest.mask, token)
            if error == 0 {
                registration.token = token
                registration.interest = interest
            } else {
                reactor.removeSource(token)
            }
            return error
        }
        guard error == 0 else { throw SystemError(-error, "watch descriptor \(descriptor)") }
    }

    private func forget(_ registration: inout Registration) {
        guard let token = registration.token else { return }
        _ = martlet_poller_control(reactor.poller, 2, descriptor, 0, token)
        reactor.removeSource(token)
        registration.token = nil
        registration.interest = []
    }

    /// Stops watching and closes the descriptor. Doing it again does nothing.
    package func close() {
        registration.withLock { registration in
            guard !registration.isClosed else { return }
            registration.isClosed = true
            forget(&registration)
            reactor.closeSafely(descriptor)
        }
    }
}

extension Reactor {
    fileprivate func addSource(_ handler: any EventHandler) -> UInt64 {
        lock.lock()
        defer { lock.unlock() }
        if state.threads == 0 { startThread() }
        return state.sources.add(handler)
    }

    fileprivate func removeSource(_ token: UInt64) {
        lock.lock()
        defer { lock.unlock() }
        state.sources.remove(token)
    }

    /// Closes now, or after the running dispatch.
    fileprivate func closeSafely(_ descriptor: Int32) {
        lock.lock()
        defer { lock.unlock() }
        if state.isDispatching { state.closing.append(descriptor) } else { _ = Self.closeDescriptor(descriptor) }
    }

    private static func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
}
