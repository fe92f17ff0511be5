import CMartlet
import Martlet
import MartletReactor
import Synchronization

/// A shell that a socket server runs for somebody who has proven who he is: it lives as long as its connection.
final class ServedShell: Sendable {
    /// What a client hears when its line runs.
    static let welcome = Array("martlet-shell ok\n".utf8)
    /// How long what it runs may go on once the connection is gone.
    private static let grace: UInt64 = 5_000_000_000

    private struct State {
        var process: ChildProcess?
        var isOver = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Runs `line`, with `descriptor`, which is taken over, as its standard input and output. Its standard error is ours.
    init(_ line: String, on descriptor: Int32) throws {
        martlet_set_blocking(descriptor)
        defer { closeDescriptor(descriptor) }
        let process = try ChildProcess.spawn(
            SpawnRequest(
                path: "/bin/sh", arguments: ["sh", "-c", line], environment: ProcessEnvironment.current.strings,
                descriptors: (descriptor, descriptor, 2), newSession: true),
            reactor: .shared
        ) { [self] _ in
            let waiters = state.withLock { state in
                state.isOver = true
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume() }
        }
        state.withLock { $0.process = process }
    }

    var isOver: Bool { state.withLock { $0.isOver } }

    func untilOver() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.isOver { state.waiters.append(continuation) }
                return state.isOver
            }
            if isOver { continuation.resume() }
        }
    }

    /// Its agent ends by itself, as its input has ended; what does not is made to.
    func end(grace: UInt64 = ServedShell.grace) {
        let process = state.withLock { $0.process }
        Reactor.shared.schedule(at: Reactor.now + grace) { process?.end(grace: 1_000_000_000) }
    }
}
