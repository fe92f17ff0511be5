import Logging
public import Martlet
import Synchronization

extension Context {
    /// Starts a socket server in this context, as its user: others connect to it directly, without the way that leads here. It
    /// ends with the context, or by ``stopServing(_:)``.
    ///
    /// - Parameters:
    ///   - host: what to listen at: a name or an address of that machine. Default: all of its addresses.
    ///   - port: 0 is any that is free.
    ///   - credentials: how both ends know each other. Files in them are read over there.
    /// - Returns: the port.
    public func serve(host: String = "0.0.0.0", port: UInt16 = 0, credentials: SocketCredentials) async throws -> UInt16
    {
        try await call(ServeSocket(host: host, port: port, credentials: credentials))
    }

    /// Starts a socket server in this context at a path, for this context's user alone.
    public func serve(at path: String) async throws { try await call(ServePath(path: path)) }

    /// Ends the server at a port, and all that it serves.
    public func stopServing(_ port: UInt16) async throws { try await call(StopServing(key: "\(port)")) }

    /// Ends the server at a path, and all that it serves.
    public func stopServing(at path: String) async throws { try await call(StopServing(key: path)) }
}

/// The servers of this process, by port or path.
private let logger = Logger(label: "martlet.serve")

private let servers = Mutex<[String: SocketServer]>([:])

struct ServeSocket: RemoteTask {
    var host: String
    var port: UInt16
    var credentials: SocketCredentials

    func run(in context: RemoteContext) async throws -> UInt16 {
        let server = try await SocketServer.start(.tls(host: host, port: port, credentials: credentials)) {
            logger.notice("\($0)")
        }
        let port = server.port ?? port
        servers.withLock { $0["\(port)"] = server }
        return port
    }
}

struct ServePath: RemoteTask {
    var path: String

    func run(in context: RemoteContext) async throws {
        let server = try await SocketServer.start(.unix(path)) { logger.notice("\($0)") }
        servers.withLock { $0[path] = server }
    }
}

struct StopServing: RemoteTask {
    var key: String

    func run(in context: RemoteContext) async throws {
        guard let server = servers.withLock({ $0.removeValue(forKey: key) }) else {
            throw MartletError(.misuse, "no server of this context listens at \(key)")
        }
        await server.close()
    }
}
