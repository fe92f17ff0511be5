import MartletLink
import MartletReactor
import Synchronization

/// A context that this process started, as long as anything of it is left: its link and the program at the near end of it.
final class ChildContext: Sendable {
    let number: UInt32
    let label: String
    let link: Link
    private let process: ChildProcess
    private let reactor: Reactor
    private let state = Mutex(State())

    private struct State {
        var linkEnded = false
        var processEnded = false
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    init(number: UInt32, label: String, link: Link, process: ChildProcess, reactor: Reactor) {
        self.number = number
        self.label = label
        self.link = link
        self.process = process
        self.reactor = reactor
    }

    func linkEnded(_ end: LinkEnd) {
        change { $0.linkEnded = true }
        // The program in front (ssh, sudo) ends by itself when its input does; if not, it is made to.
        reactor.schedule(at: Reactor.now + 1_000_000_000) { [self] in process.end(grace: 1_000_000_000) }
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
    func close(within limit: UInt64) async {
        link.sendGoodbye()
        let force = reactor.schedule(at: Reactor.now + limit) { [self] in
            link.end(.finished)
            process.end(grace: 500_000_000)
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
