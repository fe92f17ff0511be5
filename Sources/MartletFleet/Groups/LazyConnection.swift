package import Martlet
import MartletReactor
import Synchronization

/// A connection that is made when it is first wanted, once for all who want it, and anew when it was lost.
package final class LazyConnection<Handle: AnyObject & Sendable>: Sendable {
    package typealias OnPhase = @Sendable (ConnectPhase, Duration) -> Void

    private enum Turn {
        case ready(Handle)
        case failed(any Error)
        /// Whoever gets this makes the connection.
        case own
        case cancelled
    }

    private struct State {
        var handle: Handle?
        /// Somebody has found that it is gone.
        var isLost = false
        var isConnecting = false
        /// When somebody got it last, by the reactor's clock.
        var lastUse: UInt64 = 0
        /// Counts how often it was closed.
        var generation = 0
        var waiters: [(ticket: Int, continuation: UnsafeContinuation<Turn, Never>)] = []
        var lastTicket = 0
    }

    /// What was not used for so long is asked whether it is there.
    private static var idleLimit: UInt64 { 1_000_000_000 }

    private let make: @Sendable (OnPhase?) async throws -> Handle
    private let isThere: @Sendable (Handle) -> Bool
    private let isGone: @Sendable (Handle) async -> Bool
    private let end: @Sendable (Handle, Duration) async -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - make: connects, and tells of the phases.
    ///   - isThere: what can be known at once.
    ///   - isGone: asks; of no avail where `isThere` says all.
    package init(
        make: @escaping @Sendable (OnPhase?) async throws -> Handle,
        isThere: @escaping @Sendable (Handle) -> Bool,
        isGone: @escaping @Sendable (Handle) async -> Bool,
        end: @escaping @Sendable (Handle, Duration) async -> Void
    ) {
        (self.make, self.isThere, self.isGone, self.end) = (make, isThere, isGone, end)
    }

    /// What is connected now.
    var current: Handle? {
        state.withLock { state in
            guard let handle = state.handle, !state.isLost, isThere(handle) else { return nil }
            return handle
        }
    }

    /// - Parameter onPhase: told of the phases, if it is this caller who connects.
    /// - Throws: what the connect throws, to all who wait for it; `CancellationError` to who was cancelled alone.
    package func value(_ onPhase: OnPhase? = nil) async throws -> Handle {
        while true {
            switch await turn() {
            case .ready(let handle): if await !isLost(handle) { return handle }
            case .failed(let error): throw error
            case .cancelled: throw CancellationError()
            case .own: return try await connect(onPhase)
            }
        }
    }

    /// Whether there was a connection that is lost: who comes next connects anew.
    func isGone() async -> Bool {
        guard let handle = state.withLock(\.handle) else { return false }
        guard current != nil else { return true }
        return await isLost(handle)
    }

    /// Asks what was idle, as nothing may have told that it is gone; so what begins now does not find out for itself.
    private func isLost(_ handle: Handle) async -> Bool {
        let isIdle = state.withLock { state in
            defer { state.lastUse = Reactor.now }
            return state.lastUse &+ Self.idleLimit < Reactor.now
        }
        guard isIdle, await isGone(handle) else { return false }
        lost(handle)
        return true
    }

    private func turn() async -> Turn {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let turn: Turn? = state.withLock { state in
                    // Whoever is cancelled from here on finds the waiter.
                    if Task.isCancelled { return .cancelled }
                    if let handle = state.handle, !state.isLost, isThere(handle) { return .ready(handle) }
                    guard state.isConnecting else {
                        state.isConnecting = true
                        return .own
                    }
                    state.waiters.append((ticket, continuation))
                    return nil
                }
                if let turn { continuation.resume(returning: turn) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.ticket == ticket }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: .cancelled)
        }
    }

    private func connect(_ onPhase: OnPhase?) async throws -> Handle {
        let (old, generation) = state.withLock { state in
            defer { (state.handle, state.isLost) = (nil, false) }
            return (state.handle, state.generation)
        }
        if let old { await end(old, .seconds(2)) }
        do {
            let handle = try await make(onPhase)
            let isWanted = state.withLock { state in
                guard state.generation == generation else { return false }
                (state.handle, state.lastUse) = (handle, Reactor.now)
                return true
            }
            guard isWanted else {
                await end(handle, .seconds(2))
                throw MartletError(.contextLost, "the group was closed while this was being connected")
            }
            finish(.ready(handle))
            return handle
        } catch {
            // Who is cancelled leaves the connect to the next who waits for it.
            if Task.isCancelled || error is CancellationError { pass() } else { finish(.failed(error)) }
            throw error
        }
    }

    private func finish(_ turn: Turn) {
        let waiters = state.withLock { state in
            state.isConnecting = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: turn) }
    }

    private func pass() {
        let next = state.withLock { state -> UnsafeContinuation<Turn, Never>? in
            guard !state.waiters.isEmpty else {
                state.isConnecting = false
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        next?.resume(returning: .own)
    }

    /// Somebody has found that this one is gone: who comes next connects anew.
    func lost(_ handle: Handle) {
        state.withLock { state in
            if state.handle === handle { state.isLost = true }
        }
    }

    /// Ends it. What is being connected ends as soon as it is there; who comes next connects anew.
    package func close(within limit: Duration) async {
        if let handle = take() { await end(handle, limit) }
    }

    /// It is nobody's any more from now on.
    ///
    /// - Returns: ends it; `nil` if there is nothing to end.
    func closing(within limit: Duration) -> (@Sendable () async -> Void)? {
        guard let handle = take() else { return nil }
        return { [end] in await end(handle, limit) }
    }

    private func take() -> Handle? {
        state.withLock { state in
            state.generation += 1
            defer { (state.handle, state.isLost) = (nil, false) }
            return state.handle
        }
    }
}
