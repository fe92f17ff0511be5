import Martlet
import MartletReactor
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// At a TCP port.
extension SocketServer {
    func listen(_ host: String, _ port: UInt16, _ credentials: SocketCredentials) async throws {
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
