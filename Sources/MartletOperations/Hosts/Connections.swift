import Martlet
import Synchronization

/// The connections of one scope: each is made at its first use, shared by all who mean the same host in the same way, and
/// closed at the end of the scope.
final class Connections: Sendable {
    /// After so long without use a context behind another one is asked whether it is still there: our own link does not say.
    private static let idleLimit = Duration.seconds(1)

    private struct Entry {
        let connect: SharedConnect
        /// What it was connected through; `nil`: it begins here.
        let parent: Context?
        var connection: Connection?
        var lastUse = ContinuousClock.now
        /// An operation has found it gone.
        var isLost = false
    }

    private struct State {
        var entries: [ConnectionKey: Entry] = [:]
        /// No operation gets these any more; those that have them keep them until the end of the scope.
        var left: [SharedConnect] = []
        var isClosed = false
    }

    private let controller: Controller
    private let state = Mutex(State())

    init(_ controller: Controller) { self.controller = controller }

    /// A context at the end of a route.
    ///
    /// - Throws: what the connect throws, to each who waits for it; the next one tries again.
    func connection(through connectors: [any Connector], _ options: ConnectOptions) async throws -> Connection {
        try await connection(ConnectionKey(connectors), parent: nil) { [controller] in
            try await controller.connect(through: connectors, options: options, onPhase: nil)
        }
    }

    /// A context on from another one.
    ///
    /// - Parameter base: how that one is known; an open context of the user's is known by itself.
    func connection(
        from parent: Context, _ base: ConnectionKey, by connector: some Connector, _ options: ConnectOptions
    ) async throws -> Connection {
        try await connection(base.appending(connector), parent: parent) {
            try await parent.connect(connector, options: options)
        }
    }

    private func connection(
        _ key: ConnectionKey, parent: Context?, _ connect: @escaping @Sendable () async throws -> Context
    ) async throws -> Connection {
        var tries = 0
        while true {
            let entry = try entry(key, parent, connect)
            let context: Context
            do { context = try await entry.connect.value() } catch {
                // Who is cancelled alone leaves the connect to those who still wait.
                if entry.connect.hasFailed { forget(key, entry.connect) }
                try Task.checkCancellation()
                // Those who waited before us were cancelled, and it with them.
                tries += 1
                if error is CancellationError, tries < 10 { continue }
                throw error
            }
            if entry.parent === parent, !entry.isLost, try await isThere(context, entry) {
                return use(key, entry.connect, context)
            }
            // In one that only answers late, others may still work.
            let isGone = entry.isLost || !context.hasLink
            forget(key, entry.connect, leaves: !isGone)
            if isGone { await context.close(within: .seconds(2)) }
        }
    }

    private func entry(
        _ key: ConnectionKey, _ parent: Context?, _ connect: @escaping @Sendable () async throws -> Context
    ) throws -> Entry {
        try state.withLock { state in
            guard !state.isClosed else {
                throw OperationError(.misuse, "the scope of withOperations has ended, and its connections with it")
            }
            if let entry = state.entries[key] { return entry }
            let entry = Entry(connect: SharedConnect(connect), parent: parent)
            state.entries[key] = entry
            return entry
        }
    }

    /// - Throws: `CancellationError`.
    private func isThere(_ context: Context, _ entry: Entry) async throws -> Bool {
        guard context.hasLink else { return false }
        guard context.route.steps.count > 1, .now - entry.lastUse > Self.idleLimit else { return true }
        return try await context.answers(within: .seconds(15))
    }

    private func use(_ key: ConnectionKey, _ connect: SharedConnect, _ context: Context) -> Connection {
        state.withLock { state in
            guard var entry = state.entries[key], entry.connect === connect else { return Connection(context) }
            entry.lastUse = .now
            let connection = entry.connection ?? Connection(context)
            entry.connection = connection
            state.entries[key] = entry
            return connection
        }
    }

    /// - Parameter leaves: it is not closed before the end of the scope.
    private func forget(_ key: ConnectionKey, _ connect: SharedConnect, leaves: Bool = false) {
        state.withLock { state in
            guard state.entries[key]?.connect === connect else { return }
            state.entries[key] = nil
            if leaves { state.left.append(connect) }
        }
    }

    /// An operation has found that the context is gone: the next one connects anew.
    func lost(_ context: Context) {
        state.withLock { state in
            for (key, entry) in state.entries where entry.connect.context === context {
                state.entries[key]?.isLost = true
            }
        }
    }

    /// Closes all of them, at once. There will be no others.
    func close() async {
        let connects = state.withLock { state in
            state.isClosed = true
            defer { (state.entries, state.left) = ([:], []) }
            return state.entries.values.map(\.connect) + state.left
        }
        await withTaskGroup(of: Void.self) { group in
            for connect in connects { group.addTask { await connect.close() } }
        }
    }
}
