import MartletLink
import MartletReactor
import Synchronization

/// A context that this process started, as long as anything of it is left: its link and the program at the near end of it.
final class ChildContext: Sendable {
    let number: UInt32
    let label: String
    let link: Link
    /// The program at the near end of the link; `nil` if there is none, as with a context that was detached and came back.
    let process: ChildProcess?
    private let reactor: Reactor
    private let state = Mutex(State())

    private struct State {
        var linkEnded = false
        var processEnded = false
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    init(number: UInt32, label: String, link: Link, process: ChildProcess?, reactor: Reactor) {
        self.number = number
        self.label = label
        self.link = link
        self.process = process
        self.reactor = reactor
        state.withLock { $0.processEnded = process == nil }
    }

    func linkEnded(_ end: LinkEnd) {
        change { $0.linkEnded = true }
        // The program in front (ssh, sudo) ends by itself when its input does; if not, it is made to.
        reactor.schedule(at: Reactor.now + 1_000_000_000) { [self] in process?.end(grace: 1_000_000_000) }
    }

    func processEnded() { change { $0.processEnded = true } }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            body(&state)
            guard state.linkEnded, state.processEnded else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Asks the agent to finish what it has and to go; waits until it and the program in front of it are gone. After
    /// `limit` nanoseconds both are made to.
    ///
    /// - Parameter drains: it takes no more work, and lets what was sent arrive, before it ends what runs.
    func close(within limit: UInt64, drains: Bool = false) async {
        link.sendGoodbye(drains ? .after(limit: UInt32(clamping: limit / 1_000_000)) : .now)
        let force = reactor.schedule(at: Reactor.now + limit) { [self] in
            link.end(.finished)
            process?.end(grace: 500_000_000)
        }
        await untilGone()
        reactor.cancel(force)
    }

    func untilGone() async {
        await withUnsafeContinuation { continuation in
            let isGone = state.withLock { state in
                if !(state.linkEnded && state.processEnded) { state.waiters.append(continuation) }
                return state.linkEnded && state.processEnded
            }
            if isGone { continuation.resume() }
        }
    }
}
