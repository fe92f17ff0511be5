import CMartlet
public import Martlet
import MartletReactor
import NIOCore
import NIOPosix
import NIOSSL

/// A context behind a TCP port at which `martlet serve` listens, as the user who runs that. All of it goes through TLS, and both
/// ends prove who they are.
public struct TLSConnector: Connector {
    /// A name or an address.
    public var host: String
    /// The TCP port.
    public var port: UInt16
    /// How both ends know each other.
    public var credentials: SocketCredentials
    /// Where the secret was read, for specs.
    var secretFile: String?

    /// A way through `port` of `host`.
    public init(_ host: String, port: UInt16, credentials: SocketCredentials) {
        self.host = host
        self.port = port
        self.credentials = credentials
    }

    /// `tls:web1:4433`.
    public var label: String { "tls:\(HostPort(host, port))" }

    /// A stream to the server's shell.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        let line = bootstrap.line
        return .stream { try await open(line) }
    }

    private func open(_ line: String) async throws -> StreamEnds {
        let context = try credentials.context(isServer: false)
        let (host, port) = (host, port)
        let connection: TLSConnection
        do {
            connection = try await ClientBootstrap(group: SocketThreads.group)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .connect(host: host, port: Int(port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
                        return try TLSConnection(
                            channel, NIOSSLClientHandler(context, serverHostname: isAddress ? nil : host))
                    }
                }
        } catch let error as NIOConnectionError {
            let reasons = (error.dnsAError.map { ["\($0)"] } ?? []) + error.connectionErrors.map { "\($0.error)" }
            throw unreachable(reasons.last ?? "\(error)")
        } catch let error as IOError {
            throw unreachable(SystemError.text(error.errnoCode))
        }
        do {
            return try await connection.socket(after: ShellRequest.preface(line), expecting: ServedShell.welcome)
        } catch let failure as TLSConnection.Failure {
            throw error(failure)
        }
    }

    private func unreachable(_ reason: String) -> MartletError {
        MartletError(
            .unreachable, "nobody answers at \(host), port \(port): \(reason)", phase: .reach,
            advice: "is martlet serve running there, and does a firewall let us through?")
    }

    private func error(_ failure: TLSConnection.Failure) -> MartletError {
        switch failure {
        case .handshake(let reason):
            MartletError(
                .authenticationFailed, "\(host), port \(port), and we do not know each other: \(reason)",
                phase: .authenticate,
                advice: "do both ends have the same secret, or the right certificates? The server's log says more")
        case .closed(let said):
            MartletError(
                said.isEmpty ? .authenticationFailed : .refused, "\(host), port \(port), hung up", phase: .authenticate,
                detail: said,
                advice:
                    "a server turns away whom it does not know, and for a while who failed several times; its log says which"
            )
        }
    }
}

extension NIOSSLClientHandler {
    fileprivate convenience init(_ context: SocketCredentials.Context, serverHostname: String?) throws {
        if let verifies = context.verifiesPin {
            try self.init(context: context.context, serverHostname: serverHostname) { certificates, promise in
                promise.succeed(verifies(certificates) ? .certificateVerified : .failed)
            }
        } else {
            try self.init(context: context.context, serverHostname: serverHostname)
        }
    }
}

extension Connector where Self == TLSConnector {
    /// A context behind a TCP port, through TLS. See ``TLSConnector``.
    public static func tls(_ host: String, port: UInt16, credentials: SocketCredentials) -> TLSConnector {
        TLSConnector(host, port: port, credentials: credentials)
    }
}

/// The threads that NIO's part runs on. They last as long as the process: nobody can say when a stream is the last.
enum SocketThreads {
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Starts them, if they do not run yet.
    static func start() -> Bool { !group.next().inEventLoop }
}
