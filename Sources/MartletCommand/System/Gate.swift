import Synchronization

/// Opens once; whoever waits goes on then. One waits at a time.
final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiter: UnsafeContinuation<Void, Never>?)>((false, nil))

    func open() {
        let waiter = state.withLock { state in
            defer { state = (true, nil) }
            return state.waiter
        }
        waiter?.resume()
    }

    func wait() async {
        await withUnsafeContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiter = continuation }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}
