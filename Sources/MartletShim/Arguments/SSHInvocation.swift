/// What a tool asks of `ssh`: its arguments, read as OpenSSH reads them.
struct SSHInvocation: Hashable, Sendable {
    /// Whether a terminal is to be made there.
    enum Terminal: Hashable, Sendable {
        /// If nobody says otherwise: for a login with a terminal on this side.
        case automatic
        /// `-T`.
        case never
        /// `-t`: if there is a terminal on this side.
        case wanted
        /// `-tt`.
        case forced
    }

    /// What is to run there.
    enum Session: Hashable, Sendable {
        /// A line for the login shell.
        case command(String)
        /// `-s`, such as `sftp`.
        case subsystem(String)
        /// The login shell itself.
        case login
        /// `-N`.
        case nothing
        /// `-W`: a connection from there.
        case connection(host: String, port: UInt16)
    }

    /// As it was written, without user and port.
    var host = ""
    /// `-l`, `user@`, or `-o User`: the first of these counts.
    var user: String?
    /// `-p`, or that of a URI.
    var port: UInt16?
    var terminal = Terminal.automatic
    var session = Session.login
    /// `-n`: standard input is not read.
    var hasNoInput = false
    /// `-q`.
    var isQuiet = false
    /// `-v`, counted.
    var verbosity = 0
    /// `-o SetEnv`: the first of a name counts.
    var variables: [String: String] = [:]
    /// `-o SendEnv`: patterns with `*` and `?`, for variables of the tool's own environment.
    var sentVariables: [String] = []

    /// Those of an environment that are to be set there.
    func environment(from own: [String: String]) -> [String: String] {
        let sent = own.filter { name, _ in sentVariables.contains { Self.matches(name.utf8[...], $0.utf8[...]) } }
        return sent.merging(variables) { $1 }
    }

    static func matches(_ text: Substring.UTF8View, _ pattern: Substring.UTF8View) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let rest = pattern.dropFirst()
        if first == UInt8(ascii: "*") {
            // Many stars in a row are one.
            if rest.first == first { return matches(text, rest) }
            return matches(text, rest) || (!text.isEmpty && matches(text.dropFirst(), pattern))
        }
        guard let byte = text.first, first == UInt8(ascii: "?") || first == byte else { return false }
        return matches(text.dropFirst(), rest)
    }
}

/// What becomes of the arguments of an `ssh`.
enum SSHReading: Hashable, Sendable {
    case invocation(SSHInvocation)
    /// Nothing is run: what is said, to which output, and with what it exits.
    case answer(output: String, error: String, status: UInt8)

    /// - Parameter message: without the line's end.
    static func refusal(_ message: String) -> SSHReading { .answer(output: "", error: message + "\n", status: 255) }
}
