import MartletWire

/// The `open` payload of a command.
struct CommandRequest: Codable, Sendable {
    /// What to start: a name without a slash is searched in `PATH`.
    var executable: String
    /// Without the program's own name.
    var arguments: [String]
    /// Set, or with `nil` removed, in what the context's own environment is.
    var environment: [String: String?]
    var directory: String?
    /// No input will come: standard input is empty.
    var hasInput: Bool
    /// In milliseconds, from the start.
    var timeout: UInt32?
    /// Between SIGTERM and SIGKILL, in milliseconds.
    var killGrace: UInt32
    var nice: Int32
}

/// The first byte of a command's `data` messages, from the context; to the context they are input as it is.
enum CommandPipe: UInt8, Sendable {
    case output = 1
    case error = 2
}

/// The `end` payload of a command.
struct CommandEnd: Codable, Sendable {
    /// One of these two.
    var exitCode: Int32?
    var signal: Int32?
    /// Its time was up.
    var timedOut: Bool
    /// It could not be started.
    var failure: MartletError?
    /// From start to end, in microseconds.
    var microseconds: UInt64
}
