import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A context on this machine behind a Unix socket at which `martlet serve` listens, as the user who runs that.
public struct UnixSocketConnector: Connector {
    /// Where it listens.
    public var path: String
    /// Whose server it must be: nobody else may answer. Default: this user's, or root's.
    public var ownerID: UInt32?

    /// A way through the socket at `path`.
    public init(_ path: String, ownerID: UInt32? = nil) {
        self.path = path
        self.ownerID = ownerID
    }

    /// `unix:/run/martlet.sock`.
    public var label: String { "unix:\(path)" }

    /// A stream to the server's shell.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        .stream { try open(bootstrap.line) }
    }

    private func open(_ line: String) throws -> StreamEnds {
        let descriptor = martlet_socket_connect(path)
        guard descriptor >= 0 else { throw unreachable(-descriptor) }
        let peer = martlet_socket_peer(descriptor)
        guard ownerID.map({ Int64($0) == peer }) ?? (peer == 0 || peer == Int64(geteuid())) else {
            closeDescriptor(descriptor)
            throw MartletError(
                .refused,
                "who listens at \(path) is user \(peer), not \(ownerID.map(String.init) ?? "this user or root")",
                phase: .reach, advice: "name the server's user, if it may see what this context does")
        }
        let request = ShellRequest.preface(line)
        let written = request.withUnsafeBytes { write(descriptor, $0.baseAddress!, $0.count) }
        guard written == request.count else {
            closeDescriptor(descriptor)
            throw MartletError(.unreachable, "what listens at \(path) takes nothing", phase: .reach)
        }
        return StreamEnds(input: descriptor, output: descriptor)
    }

    private func unreachable(_ error: Int32) -> MartletError {
        let advice =
            switch error {
            case ENOENT, ECONNREFUSED: "start it there: martlet serve --unix \(path)"
            case EACCES: "the socket is for the user who runs martlet serve; connect as that user"
            default: nil as String?
            }
        return MartletError(
            .unreachable, "nobody answers at \(path): \(SystemError.text(error))", phase: .reach, advice: advice)
    }
}

extension UnixSocketConnector {
    /// `unix:/run/martlet.sock`.
    public static let kind = ConnectorKind(
        "unix",
        "the same machine, by the Unix socket of martlet serve",
        argument: .required("path"),
        options: [.number("owner", \.ownerID, "the user id of the server. Default: ours, or root's")],
        staysOnMachine: true
    ) {
        UnixSocketConnector($0.place.text)
    } written: {
        $0.path
    }
}

extension Connector where Self == UnixSocketConnector {
    /// A context behind a Unix socket. See ``UnixSocketConnector``.
    public static func unix(_ path: String, ownerID: UInt32? = nil) -> UnixSocketConnector {
        UnixSocketConnector(path, ownerID: ownerID)
    }
}

/// What a client says to a socket server before its bootstrap runs: one line, and nothing more until the far side speaks.
package enum ShellRequest {
    private static let magic = Array("martlet-shell 1 ".utf8)
    /// The longest that there is, with its end.
    package static let longest = 1024

    package static func preface(_ line: String) -> [UInt8] { magic + Array(line.utf8) + [0x0a] }

    package enum Reading: Equatable {
        case incomplete
        case line(String)
        /// No client of ours wrote this.
        case nonsense
    }

    /// Reads what has come so far.
    package static func read(_ bytes: [UInt8]) -> Reading {
        guard bytes.prefix(magic.count).elementsEqual(magic.prefix(bytes.count)) else { return .nonsense }
        guard let end = bytes.firstIndex(of: 0x0a) else { return bytes.count < longest ? .incomplete : .nonsense }
        let line = bytes[magic.count..<end]
        // A client waits for the far side before it sends more.
        guard end == bytes.count - 1, !line.isEmpty, !line.contains(where: { $0 < 0x20 || $0 > 0x7e }) else {
            return .nonsense
        }
        return .line(String(decoding: line, as: UTF8.self))
    }
}
