import MartletReactor

/// A way in: how to get, from one machine, to a place where a context can run.
///
/// A connector is a value that names the place, and that knows the command which leads there. It may be used from any
/// context: it is sent to the context that starts the child, as a task is.
///
///     struct Toolbox: Connector {
///         var container: String
///         var label: String { "toolbox:\(container)" }
///         func launch(_ bootstrap: Bootstrap) -> Launch {
///             .shell(["toolbox", "run", "-c", container] + bootstrap.command)
///         }
///     }
public protocol Connector: Codable, Sendable {
    /// How routes call it: `ssh:web1`.
    var label: String { get }

    /// What to start.
    ///
    /// - Parameter bootstrap: what the far side has to run, with its standard input and output connected to the command's
    ///   own, free of anything but data.
    /// - Throws: if what the connector names cannot be.
    func launch(_ bootstrap: Bootstrap) throws -> Launch

    /// Which connects share a limit, because they knock at the same door. Default: ``label``.
    var door: String { get }

    /// What answers the command's question for a password, before anybody is asked. Default: `nil`.
    var password: Secret? { get }

    /// What a question of the command's is about. Default: a guess by the words.
    ///
    /// - Parameters:
    ///   - isMarked: it holds the mark of ``Launch/Asking``.
    ///   - chatter: what the command has said of itself so far, as ``isNoise(_:)`` has it; the first hundred lines.
    func kind(of prompt: Prompt, isMarked: Bool, behind chatter: [String]) -> Prompt.Kind

    /// What a line that the command wrote to standard error tells about how far the connect has come; `nil`: nothing.
    func phase(after line: String) -> ConnectPhase?

    /// Whether a line is the command's own chatter, to be kept from people.
    func isNoise(_ line: String) -> Bool

    /// Another way to try after a failure, once: `nil`: none.
    func alternative(after failure: ConnectorFailure) -> Self?

    /// What a failure means, from what the command wrote and how it ended; `nil`: nothing special.
    func diagnose(_ failure: ConnectorFailure) -> MartletError?
}

/// What a connector's command has to run at the far end, in one form or the other. All do the same.
public struct Bootstrap: Sendable {
    /// A line for a login shell of whatever kind, as `ssh host` hands over: at most 600 bytes.
    public let line: String
    /// The script in the line: what a plain `sh` runs.
    public let script: String
    /// Whether somebody answers if the command asks for something.
    public let mayAsk: Bool

    /// - Parameter script: empty: there is nothing to run yet.
    init(script: String = "", mayAsk: Bool = false) {
        line = script.isEmpty ? "" : FirstStage.commandLine(script)
        self.script = script
        self.mayAsk = mayAsk
    }

    /// `sh -c` and the script, for commands that execute their arguments as they are.
    public var command: [String] { ["sh", "-c", script] }

    /// The script with no `$`, backslash or double quote in it, for commands that hand their arguments to a shell and
    /// quote them badly.
    public var plainScript: String {
        var text = ""
        for character in script.unicodeScalars {
            switch character {
            case "$": text += "\\044"
            case "\\": text += "\\134"
            case "\"": text += "\\042"
            case "%": text += "%%"
            default: text.unicodeScalars.append(character)
            }
        }
        return "eval \"`printf '\(text)'`\""
    }
}

/// What a connector starts.
public struct Launch: Sendable {
    enum Way: Sendable {
        case command([String], LocalOptions, Asking)
        case image(LocalOptions)
        case stream(@Sendable () async throws -> StreamEnds)
    }

    /// How a command asks its questions.
    public struct Asking: Sendable, Hashable {
        /// It asks on standard error, and reads the answer from standard input, before it starts the shell.
        var usesPipes = false
        /// It gets a terminal of its own, for questions alone: data goes through pipes.
        var hasTerminal = false
        /// A text of the caller's choice, that its own question holds.
        var mark: String?

        /// It asks nothing.
        public static let nothing = Asking()
        /// On its terminal, as ssh and doas do.
        public static let onTerminal = Asking(hasTerminal: true)
        /// On standard error, with the answer on standard input, as su and `sudo -S` do. What a login shell prints there looks
        /// the same: so without the mark only the first text is taken for a question, or, with one, what somebody may answer.
        ///
        /// - Parameters:
        ///   - mark: a text that the command was told to put in its question for a password.
        ///   - hasTerminal: it insists on a terminal all the same.
        public static func onPipes(mark: String? = nil, hasTerminal: Bool = false) -> Asking {
            Asking(usesPipes: true, hasTerminal: hasTerminal, mark: mark)
        }
    }

    let way: Way

    /// A command that leads to a shell which runs the bootstrap.
    ///
    /// - Parameters:
    ///   - arguments: the first is a path or a name to be found in `PATH`.
    ///   - options: the command's directory, environment and nice level.
    ///   - asking: how it asks for a password and the like.
    public static func shell(
        _ arguments: [String], options: LocalOptions = .init(), asking: Asking = .nothing
    ) -> Launch {
        Launch(way: .command(arguments, options, asking))
    }

    /// This program itself, on this machine: there is nothing to send.
    public static func image(_ options: LocalOptions) -> Launch { Launch(way: .image(options)) }

    /// A byte stream to a shell that runs the bootstrap, as `open` returns it: a socket, for one.
    public static func stream(_ open: @escaping @Sendable () async throws -> StreamEnds) -> Launch {
        Launch(way: .stream(open))
    }
}

/// The near ends of a byte stream that leads to a shell. They are closed by whom gets this.
public struct StreamEnds: Sendable {
    /// What the far side writes is read here.
    public var input: Int32
    /// What is written here the far side reads. It may be the same descriptor as `input`.
    public var output: Int32

    /// Two descriptors that can be polled, or one twice.
    public init(input: Int32, output: Int32) {
        self.input = input
        self.output = output
    }

    func close() {
        closeDescriptor(input)
        if output != input { closeDescriptor(output) }
    }
}

/// How a local context is started.
public struct LocalOptions: Sendable, Codable, Hashable {
    /// `~/` is the home of this process's user. Default: where this process is.
    public var directory: String?
    /// Variables to set, or with `nil` to remove.
    public var environment: [String: String?] = [:]
    /// Added to this process's nice level.
    public var nice = 0
    /// Whose rights it has; only root may name another user than itself. Default: ours.
    public var user: String?

    /// The defaults.
    public init() {}
}

/// What is known when a connect has failed.
public struct ConnectorFailure: Sendable {
    /// How far the connect had come.
    public var phase: ConnectPhase
    /// The lines that the command wrote to standard error, without its chatter; the last hundred.
    public var lines: [String]
    /// What came on standard output where a shell should have spoken; the last twenty lines.
    public var noise: [String] = []
    /// Its exit code, if it has exited.
    public var exitCode: Int32?
    /// Whether one of its questions was answered.
    public var hasAnswered = false
}

extension Connector {
    /// The label.
    public var door: String { label }
    /// None.
    public var password: Secret? { nil }
    /// A guess by the words.
    public func kind(of prompt: Prompt, isMarked: Bool, behind chatter: [String]) -> Prompt.Kind {
        isMarked ? .password : .guess(prompt.text)
    }
    /// Nothing.
    public func phase(after line: String) -> ConnectPhase? { nil }
    /// Nothing is.
    public func isNoise(_ line: String) -> Bool { false }
    /// None.
    public func alternative(after failure: ConnectorFailure) -> Self? { nil }
    /// Nothing special.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? { nil }
}
