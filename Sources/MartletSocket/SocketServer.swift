import Martlet
import MartletReactor
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where a socket server listens.
public enum SocketAddressToServe: Sendable {
    /// A path, for this user alone.
    case unix(String)
    /// A TCP port; 0 is any that is free.
    case tls(host: String, port: UInt16, credentials: SocketCredentials)
}

/// Lets others in: starts, for who proves who he is, a shell as this process's user, in which his program bootstraps itself as
/// through ssh. What it starts ends with its connection, and with the server.
///
/// Failures of one address slow it down (see `AttemptLimiter`); there are at most 64 connections that have not proven anything,
/// each for 10 s, and ``maximumSessions`` that have.
public final class SocketServer: Sendable {
    /// How many may be served at once, by default.
    public static let maximumSessions = 256
    private static let maximumStrangers = 64
    static let firstLineLimit: UInt64 = 10_000_000_000

    /// What happens, for people: one line each. Secrets are never in it.
    public typealias Log = @Sendable (String) -> Void

    /// The TCP port, if there is one.
    public var port: UInt16? { state.withLock { $0.port } }

    struct State {
        var port: UInt16?
        var listener: EventSource?
        var path: String?
        var channel: (any NIOCore.Channel)?
        var accepting: Task<Void, Never>?
        var sessions: [UInt64: Session] = [:]
        var nextSession: UInt64 = 0
        var strangers = 0
        var limiter = AttemptLimiter()
        var isClosed = false
    }

    struct Session {
        var shell: ServedShell?
        /// Watches for the end of a Unix socket's other side.
        var source: EventSource?
        var task: Task<Void, Never>?
    }

    let state = Mutex(State())
    let sessionLimit: Int
    let log: Log

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - sessions: how many may be served at once.
    ///   - log: told of each connection, how it went, and why not.
    /// - Throws: `MartletError` that says why not.
    public static func start(
        _ address: SocketAddressToServe, sessions: Int = SocketServer.maximumSessions, log: @escaping Log = { _ in }
    ) async throws -> SocketServer {
        let server = SocketServer(sessions, log)
        switch address {
        case .unix(let path): try server.listen(at: path)
        case .tls(let host, let port, let credentials): try await server.listen(host, port, credentials)
        }
        return server
    }

    private init(_ sessionLimit: Int, _ log: @escaping Log) {
        self.sessionLimit = sessionLimit
        self.log = log
    }

    /// Stops listening, and ends all that is served.
    public func close() async {
        let (listener, path, channel, accepting, sessions) = state.withLock { state in
            state.isClosed = true
            defer { (state.listener, state.path, state.channel) = (nil, nil, nil) }
            return (state.listener, state.path, state.channel, state.accepting, Array(state.sessions.values))
        }
        listener?.close()
        if let path { unlink(path) }
        try? await channel?.close()
        accepting?.cancel()
        await accepting?.value
        for session in sessions {
            session.source?.close()
            session.task?.cancel()
            session.shell?.end(grace: 0)
        }
        for session in sessions {
            await session.task?.value
            await session.shell?.untilOver()
        }
    }

    // MARK: Counting

    /// One more stranger, if there is room.
    func enter() -> Bool {
        let isIn = state.withLock { state in
            guard !state.isClosed, state.strangers < Self.maximumStrangers else { return false }
            state.strangers += 1
            return true
        }
        if !isIn { log("turned away: \(Self.maximumStrangers) connections have not said anything yet") }
        return isIn
    }

    func leave() { state.withLock { $0.strangers -= 1 } }

    func admit() -> UInt64? {
        state.withLock { state in
            guard !state.isClosed, state.sessions.count < sessionLimit else { return nil }
            state.nextSession += 1
            return state.nextSession
        }
    }

    func remove(_ number: UInt64) { state.withLock { $0.sessions[number] = nil } }
}
