import CMartlet
import Martlet
import MartletReactor
import NIOCore
import NIOPosix
import NIOSSL
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
    private static let firstLineLimit: UInt64 = 10_000_000_000

    /// What happens, for people: one line each. Secrets are never in it.
    public typealias Log = @Sendable (String) -> Void

    /// The TCP port, if there is one.
    public var port: UInt16? { state.withLock { $0.port } }

    private struct State {
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

    private struct Session {
        var shell: ServedShell?
        /// Watches for the end of a Unix socket's other side.
        var source: EventSource?
        var task: Task<Void, Never>?
    }

    private let state = Mutex(State())
    private let sessionLimit: Int
    private let log: Log

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

    // MARK: Unix

    private func listen(at path: String) throws {
        var descriptor = martlet_socket_listen_at(path, 64)
        if descriptor == -EADDRINUSE, isStale(path) {
            unlink(path)
            descriptor = martlet_socket_listen_at(path, 64)
        }
        guard descriptor >= 0 else {
            throw MartletError(
                .misuse, "cannot listen at \(path): \(SystemError.text(-descriptor))",
                advice: descriptor == -EADDRINUSE ? "another server listens there, or it is not a socket" : nil)
        }
        let source = EventSource(descriptor, reactor: .shared)
        state.withLock { ($0.listener, $0.path) = (source, path) }
        try source.watch(for: .readable, Acceptor(self))
    }

    /// Nobody listens any more at what is there.
    private func isStale(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        let descriptor = martlet_socket_connect(path)
        if descriptor >= 0 { closeDescriptor(descriptor) }
        return descriptor == -ECONNREFUSED
    }

    private final class Acceptor: EventHandler {
        weak let server: SocketServer?
        init(_ server: SocketServer) { self.server = server }
        func ready(_ readiness: Readiness) { server?.acceptLocal() }
    }

    private func acceptLocal() {
        guard let listener = state.withLock({ $0.listener }) else { return }
        while true {
            let descriptor = martlet_socket_accept(listener.descriptor)
            guard descriptor >= 0 else { return }
            let peer = martlet_socket_peer(descriptor)
            // The mode of the socket says the same; who changed that still does not get in.
            guard peer == Int64(geteuid()) || peer == 0 else {
                log("user \(peer) was turned away: the socket is for user \(geteuid())")
                closeDescriptor(descriptor)
                continue
            }
            guard enter() else {
                closeDescriptor(descriptor)
                continue
            }
            let stranger = LocalStranger(EventSource(descriptor, reactor: .shared), self, peer)
            stranger.begin(within: Self.firstLineLimit)
        }
    }

    /// Somebody who has said nothing yet.
    private final class LocalStranger: EventHandler {
        let source: EventSource
        let server: SocketServer
        let peer: Int64
        private let state = Mutex<(bytes: [UInt8], isOver: Bool, timer: Reactor.TimerToken?)>(([], false, nil))

        init(_ source: EventSource, _ server: SocketServer, _ peer: Int64) {
            (self.source, self.server, self.peer) = (source, server, peer)
        }

        func begin(within limit: UInt64) {
            let timer = Reactor.shared.schedule(at: Reactor.now + limit) { [self] in end("said nothing in time") }
            state.withLock { $0.timer = timer }
            if (try? source.watch(for: .readable, self)) == nil { end("cannot be watched") }
        }

        private func end(_ reason: String?) {
            let (isFirst, timer) = state.withLock { state in
                defer { state.isOver = true }
                return (!state.isOver, state.timer)
            }
            guard isFirst else { return }
            if let timer { Reactor.shared.cancel(timer) }
            server.leave()
            guard let reason else { return }
            server.log("user \(peer): \(reason)")
            source.close()
        }

        func ready(_ readiness: Readiness) {
            var part = [UInt8](repeating: 0, count: ShellRequest.longest)
            let count = read(source.descriptor, &part, part.count)
            guard count > 0 else {
                if count == 0 || errno != EAGAIN { end("hung up") }
                return
            }
            let bytes = state.withLock { state in
                state.bytes += part[..<count]
                return state.bytes
            }
            switch ShellRequest.read(bytes) {
            case .incomplete: break
            case .nonsense: end("is no client of ours")
            case .line(let line):
                end(nil)
                try? source.watch(for: [], self)
                server.serve(line, source, peer)
            }
        }
    }

    private func serve(_ line: String, _ source: EventSource, _ peer: Int64) {
        do {
            let copy = fcntl(source.descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw SystemError(errno, "copy a descriptor") }
            guard let number = admit() else {
                closeDescriptor(copy)
                refuse(source, "there are \(sessionLimit) sessions already")
                return
            }
            let shell = try ServedShell(line, on: copy)
            log("user \(peer): session \(number) begins")
            // The end of the connection shows, though the shell has it: it is watched for nothing else.
            try? source.watch(
                for: .closed,
                Hangup {
                    source.close()
                    shell.end()
                })
            let task = Task(executorPreference: Reactor.shared) { [self] in
                await shell.untilOver()
                source.close()
                remove(number)
            }
            state.withLock { $0.sessions[number] = Session(shell: shell, source: source, task: task) }
            if shell.isOver { remove(number) }
        } catch {
            log("user \(peer): \(error)")
            refuse(source, "\(error)")
        }
    }

    private final class Hangup: EventHandler {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        func ready(_ readiness: Readiness) { body() }
    }

    private func refuse(_ source: EventSource, _ reason: String) {
        let words = Array("martlet serve: \(reason)\n".utf8)
        _ = words.withUnsafeBytes { write(source.descriptor, $0.baseAddress!, $0.count) }
        source.close()
    }

    // MARK: TLS

    private func listen(_ host: String, _ port: UInt16, _ credentials: SocketCredentials) async throws {
        let context = try credentials.context(isServer: true)
        let listener: NIOAsyncChannel<TLSConnection, Never>
        do {
            listener = try await ServerBootstrap(group: SocketThreads.group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .bind(host: host, port: Int(port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try TLSConnection(channel, NIOSSLServerHandler(context))
                    }
                }
        } catch {
            throw MartletError(.misuse, "cannot listen at \(host), port \(port): \(error)")
        }
        state.withLock { state in
            state.port = listener.channel.localAddress?.port.map { UInt16($0) }
            state.channel = listener.channel
            state.accepting = Task { [weak self] in
                try? await listener.executeThenClose { connections in
                    for try await connection in connections { self?.accept(connection) }
                }
            }
        }
    }

    private func accept(_ connection: TLSConnection) {
        let address = connection.remoteAddress
        let isAdmitted = state.withLock { $0.limiter.admits(address, at: Self.now) }
        guard isAdmitted, enter() else {
            if !isAdmitted { log("\(address): turned away after too many failures") }
            // It was never run: nothing of it may stay.
            Task { try? await connection.run { _, _ in } }
            return connection.close()
        }
        let number = state.withLock { state in
            state.nextSession += 1
            state.sessions[state.nextSession] = Session()
            return state.nextSession
        }
        let task = Task { [self] in
            await serve(connection, address, number)
            remove(number)
        }
        state.withLock { $0.sessions[number]?.task = task }
    }

    private static var now: Double { Double(Reactor.now) / 1e9 }

    private func serve(_ connection: TLSConnection, _ address: String, _ number: UInt64) async {
        let isStranger = Mutex(true)
        let known: @Sendable () -> Void = { [self] in
            let was = isStranger.withLock { flag in
                defer { flag = false }
                return flag
            }
            if was { leave() }
        }
        defer { known() }
        let timer = Reactor.shared.schedule(at: Reactor.now + Self.firstLineLimit) { connection.close() }
        defer { Reactor.shared.cancel(timer) }
        do {
            try await connection.run { bytes, writer in
                let line = try await Self.line(&bytes)
                Reactor.shared.cancel(timer)
                known()
                state.withLock { $0.limiter.succeeded(address) }
                guard state.withLock({ $0.sessions.count - $0.strangers }) <= sessionLimit else {
                    try await writer.write(
                        ByteBuffer(string: "martlet serve: there are \(sessionLimit) sessions already\n"))
                    return
                }
                let (near, far) = try TLSConnection.pair()
                let shell: ServedShell
                do { shell = try ServedShell(line, on: far) } catch {
                    closeDescriptor(near)
                    throw error
                }
                log("\(address): session \(number) begins")
                state.withLock { $0.sessions[number]?.shell = shell }
                defer { shell.end() }
                try await writer.write(ByteBuffer(bytes: ServedShell.welcome))
                try await connection.pump(ByteBuffer(), &bytes, writer, local: near)
            }
            log("\(address): session \(number) has ended")
        } catch {
            let isKnown = !isStranger.withLock { $0 }
            if !isKnown { state.withLock { $0.limiter.failed(address, at: Self.now) } }
            log("\(address): \(isKnown ? "session \(number) ended" : "not let in"): \(error)")
        }
        // The shell's own end is waited for: it may outlive its connection by some seconds.
        await state.withLock({ $0.sessions[number]?.shell })?.untilOver()
    }

    private static func line(_ bytes: inout TLSConnection.Bytes) async throws -> String {
        var said: [UInt8] = []
        while let part = try await bytes.next() {
            said += part.readableBytesView
            switch ShellRequest.read(said) {
            case .incomplete: continue
            case .nonsense: throw TLSConnection.Failure.closed("no client of ours")
            case .line(let line): return line
            }
        }
        throw TLSConnection.Failure.closed("nothing was said")
    }

    // MARK: Counting

    /// One more stranger, if there is room.
    private func enter() -> Bool {
        let isIn = state.withLock { state in
            guard !state.isClosed, state.strangers < Self.maximumStrangers else { return false }
            state.strangers += 1
            return true
        }
        if !isIn { log("turned away: \(Self.maximumStrangers) connections have not said anything yet") }
        return isIn
    }

    private func leave() { state.withLock { $0.strangers -= 1 } }

    private func admit() -> UInt64? {
        state.withLock { state in
            guard !state.isClosed, state.sessions.count < sessionLimit else { return nil }
            state.nextSession += 1
            return state.nextSession
        }
    }

    private func remove(_ number: UInt64) { state.withLock { $0.sessions[number] = nil } }
}

extension NIOSSLServerHandler {
    fileprivate convenience init(_ context: SocketCredentials.Context) {
        if let verifies = context.verifiesPin {
            self.init(context: context.context) { certificates, promise in
                promise.succeed(verifies(certificates) ? .certificateVerified : .failed)
            }
        } else {
            self.init(context: context.context)
        }
    }
}
