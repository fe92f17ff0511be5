import MartletWire

/// The `open` payload of a command.
package struct CommandRequest: Codable, Sendable {
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
    /// What to start instead of a program that is there.
    var image: CommandImage?
    /// One for the program's input, output and error.
    var terminal: CommandTerminal?
    /// The user's login shell is started; `executable` is a line for it.
    package var shell: CommandShell?
    /// Each `data` to the context begins with a ``CommandControl``.
    package var hasControl: Bool?
}

/// A terminal that a context makes for a program.
struct CommandTerminal: Codable, Sendable {
    var columns: UInt16
    var rows: UInt16
    /// The value of `TERM`.
    var type: String
}

/// How the user's shell is started.
package enum CommandShell: String, Codable, Sendable {
    /// For one line: `bash -c LINE`, as sshd does.
    case line
    /// As at a login, to read lines from its input: `-bash`.
    case login
}

/// The first byte of a `data` message to a context, for a command that was opened so.
package enum CommandControl: UInt8, Sendable {
    /// Input follows.
    case input = 0
    /// The terminal's new columns and rows, two bytes each.
    case size = 1
    /// One byte: the number of a signal, for the program's group, or what is in front of its terminal.
    case signal = 2
    /// There is no more input.
    case endOfInput = 3
}

/// An executable that is sent for a command, unless the context has it from before. The first `data` to the caller says
/// whether it is wanted. It comes as input, and an empty `data` behind it; only when the context says so does input for the
/// program follow, which gets a connection for items instead of standard input.
struct CommandImage: Codable, Sendable {
    /// A hash of it and of what it was made from.
    var id: String
    /// In bytes, before it is compressed.
    var byteCount: Int
    /// It can be compressed by gzip.
    var offersGzip: Bool
}

/// The first byte of a command's `data` messages, from the context; to the context they are input as it is.
package enum CommandPipe: UInt8, Sendable {
    case output = 1
    case error = 2
    /// What a program that was sent writes to its connection.
    case items = 3
    /// One byte: see ``CommandImageWish``.
    case image = 4
}

/// What a context wants to be sent of an image.
enum CommandImageWish: UInt8, Sendable {
    /// Nothing, or nothing more: the program is started.
    case nothing = 0
    /// All of it, as it is.
    case raw = 1
    /// All of it, compressed by gzip.
    case gzip = 2
}

/// The `end` payload of a command.
package struct CommandEnd: Codable, Sendable {
    /// One of these two.
    package var exitCode: Int32?
    package var signal: Int32?
    /// Its time was up.
    var timedOut: Bool
    /// It could not be started.
    package var failure: MartletError?
    /// From start to end, in microseconds.
    var microseconds: UInt64

    /// - Parameter timeout: what the command had.
    func termination(timeout: Duration?) -> Termination {
        timedOut
            ? .timedOut(after: timeout ?? .zero) : signal.map { .signalled($0) } ?? .exited(exitCode ?? 255)
    }
}
