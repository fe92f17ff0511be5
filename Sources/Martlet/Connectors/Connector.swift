/// A way in: how to get, from one machine, to a place where a context can run.
///
/// A connector is a value that names the place, and that knows the command which leads there. It may be used from any
/// context: it is sent to the context that starts the child, as a task is.
///
///     struct Toolbox: Connector {
///         var container: String
///         var label: String { "toolbox:\(container)" }
///         func launch(_ bootstrap: String) -> Launch {
///             .shell(["toolbox", "run", "-c", container, "sh", "-c", bootstrap])
///         }
///     }
public protocol Connector: Codable, Sendable {
    /// How routes call it: `ssh:web1`.
    var label: String { get }

    /// What to start.
    ///
    /// - Parameter bootstrap: one line of shell, at most 600 bytes, that the far side has to run with its standard input
    ///   and output connected to the command's own, free of anything but data.
    func launch(_ bootstrap: String) throws -> Launch

    /// Which connects share a limit, because they knock at the same door. Default: ``label``.
    var door: String { get }

    /// What a line that the command wrote to standard error tells about how far the connect has come; `nil`: nothing.
    func phase(after line: String) -> ConnectPhase?

    /// Whether a line is the command's own chatter, to be kept from people.
    func isNoise(_ line: String) -> Bool

    /// What a failure means, from what the command wrote and how it ended; `nil`: nothing special.
    func diagnose(_ failure: ConnectorFailure) -> MartletError?
}

/// What a connector starts.
public enum Launch: Sendable {
    /// A command that leads to a shell which runs the bootstrap line. The first is a path or a name to be found in `PATH`.
    case shell([String])
    /// This program itself, on this machine: there is nothing to send.
    case image(LocalOptions)
}

/// How a local context is started.
public struct LocalOptions: Sendable, Codable, Hashable {
    /// `~/` is the home of this process's user. Default: where this process is.
    public var directory: String?
    /// Variables to set, or with `nil` to remove.
    public var environment: [String: String?] = [:]
    /// Added to this process's nice level.
    public var nice = 0

    /// The defaults.
    public init() {}
}

/// What is known when a connect has failed.
public struct ConnectorFailure: Sendable {
    /// How far the connect had come.
    public var phase: ConnectPhase
    /// The lines that the command wrote to standard error, without its chatter; the last hundred.
    public var lines: [String]
    /// Its exit code, if it has exited.
    public var exitCode: Int32?
}

extension Connector {
    /// The label.
    public var door: String { label }
    /// Nothing.
    public func phase(after line: String) -> ConnectPhase? { nil }
    /// Nothing is.
    public func isNoise(_ line: String) -> Bool { false }
    /// Nothing special.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? { nil }
}
