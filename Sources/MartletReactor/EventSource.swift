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
    ///
    /// - Parameter isShared: others have the same open file: then it stays as it is, and whoever reads asks not to wait.
    package init(_ descriptor: Int32, reactor: Reactor, isShared: Bool = false) {
        self.descriptor = descriptor
        self.reactor = reactor
        registration = Mutex(Registration(token: nil, interest: []))
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        if !isShared { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) }
    }

    deinit { close() }

    /// Has `handler` told about `interest` from now on; an empty set stops it. While it is not stopped, the handler
    /// stays the one that was given first. A call that is under way on the polling thread may end after this returns.
    ///
    /// - Throws: ``SystemError`` if the kernel cannot poll this descriptor: regular files are always ready.
    package func watch(for interest: Readiness, _ handler: any EventHandler) throws(SystemError) {
        // The old handler goes after the lock: its deinitialiser may call us.
        var old: (any EventHandler)?
        let error: Int32 = registration.withLock { registration in
            guard !registration.isClosed, registration.interest != interest else { return 0 }
            if let token = registration.token {
                if interest.isEmpty {
                    old = forget(&registration)
                    return 0
                }
                let error = martlet_poller_control(reactor.poller, 1, descriptor, interest.mask, token)
                if error == 0 { registration.interest = interest }
                return error
            }
            let token = reactor.addSource(handler)
            let error = martlet_poller_control(reactor.poller, 0, descriptor, interest.mask, token)
            if error == 0 {
                registration.token = token
                registration.interest = interest
            } else {
                old = reactor.removeSource(token)
            }
            return error
        }
        withExtendedLifetime(old) {}
        guard error == 0 else { throw SystemError(-error, "watch descriptor \(descriptor)") }
    }

    private func forget(_ registration: inout Registration) -> (any EventHandler)? {
        guard let token = registration.token else { return nil }
        _ = martlet_poller_control(reactor.poller, 2, descriptor, 0, token)
        registration.token = nil
        registration.interest = []
        return reactor.removeSource(token)
    }

    /// Stops watching and closes the descriptor. Doing it again does nothing.
    package func close() {
        let old = registration.withLock { registration -> (any EventHandler)? in
            guard !registration.isClosed else { return nil }
            registration.isClosed = true
            let old = forget(&registration)
            reactor.closeSafely(descriptor)
            return old
        }
        withExtendedLifetime(old) {}
    }
}

extension Reactor {
    fileprivate func addSource(_ handler: any EventHandler) -> UInt64 {
        lock.lock()
        defer { lock.unlock() }
        if state.threads == 0 { startThread() }
        return state.sources.add(handler)
    }

    fileprivate func removeSource(_ token: UInt64) -> (any EventHandler)? {
        lock.lock()
        defer { lock.unlock() }
        return state.sources.remove(token)
    }

    /// Closes now, or after the running dispatch.
    fileprivate func closeSafely(_ descriptor: Int32) {
        lock.lock()
        defer { lock.unlock() }
        if state.isDispatching { state.closing.append(descriptor) } else { closeDescriptor(descriptor) }
    }
}
