import Martlet
import MartletLink
import MartletWire

/// A command whose stream somebody else joins with pipes of their own.
struct JoinedRequest: Sendable {
    enum Program: Sendable {
        /// A line for the user's login shell, as sshd runs it.
        case line(String)
        /// The login shell itself.
        case login
        case program(String, [String])
    }

    var program: Program
    var environment: [String: String]
    var terminal: (columns: UInt16, rows: UInt16, type: String)?

    init(
        _ program: Program, environment: [String: String], terminal: (columns: UInt16, rows: UInt16, type: String)?
    ) {
        (self.program, self.environment, self.terminal) = (program, environment, terminal)
    }
}

/// The first byte of a message to such a command.
typealias JoinedControl = CommandControl

/// The first byte of a message from it.
enum JoinedPipe: Sendable {
    case output
    case error
    case other

    init(_ byte: UInt8) {
        switch CommandPipe(rawValue: byte) {
        case .output: self = .output
        case .error: self = .error
        default: self = .other
        }
    }
}

/// How it ended.
enum JoinedEnd: Sendable {
    case exited(Int32)
    case signalled(Int32)
    /// It was not started.
    case failed(MartletError)

    /// - Parameter payload: that of the stream's `end`.
    init(_ payload: UnsafeRawBufferPointer) {
        guard let end = try? CBORDecoder().decode(CommandEnd.self, from: payload) else {
            self = .failed(MartletError(.protocolViolation, "a command's end cannot be read"))
            return
        }
        if let failure = end.failure {
            self = .failed(failure)
        } else {
            self = end.signal.map { .signalled($0) } ?? .exited(end.exitCode ?? 255)
        }
    }
}

extension Context {
    /// Starts it. Its messages begin with a ``JoinedControl``, those from it with a ``JoinedPipe``.
    ///
    /// - Throws: ``MartletError`` `limitExceeded`, `contextLost`.
    func join(_ wanted: JoinedRequest, _ owner: any StreamOwner) throws {
        var options = CommandOptions()
        options.environment = wanted.environment
        if let terminal = wanted.terminal {
            options.terminal = TerminalSize(columns: Int(terminal.columns), rows: Int(terminal.rows))
            options.terminalType = terminal.type
        }
        var request: CommandRequest
        switch wanted.program {
        case .line(let line):
            request = CommandRequest(line, [], options, hasInput: true)
            request.shell = .line
        case .login:
            request = CommandRequest("", [], options, hasInput: true)
            request.shell = .login
        case .program(let path, let arguments): request = CommandRequest(path, arguments, options, hasInput: true)
        }
        request.hasControl = true
        let payload = try CBOREncoder().encode(request)
        guard payload.count <= ContextNode.maximumOpenPayload else {
            throw MartletError(
                .limitExceeded,
                "the command line is \(payload.count) bytes, more than \(ContextNode.maximumOpenPayload)", route: route)
        }
        guard node.open(to: address, .command, owner: owner, payload: payload, flags: .bulk) != nil else {
            throw MartletError(.contextLost, "the context is not connected any more", route: route)
        }
    }
}
