/// What went wrong, where, what the far side said, and what to try.
///
/// Errors that a task itself throws are not wrapped in this type if the task names their type as its `Failure`.
public struct MartletError: Error, Sendable {
    /// What kind of failure it is: stable, for programs.
    public struct Code: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
        /// The name that programs and JSON see.
        public var rawValue: String
        /// A code by its name; users may make their own for connectors of theirs.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// The name.
        public var description: String { rawValue }

        // MARK: Connecting

        /// The machine was not found, refused the connection, or did not answer.
        public static let unreachable = Code(rawValue: "unreachable")
        /// The machine does not accept who we are.
        public static let authenticationFailed = Code(rawValue: "authenticationFailed")
        /// A program on the way asked something that nobody answered; the message quotes it.
        public static let promptRefused = Code(rawValue: "promptRefused")
        /// The machine's host key is unknown, or not the one that is on record.
        public static let hostKeyRejected = Code(rawValue: "hostKeyRejected")
        /// The connector's own program could not be started or gave up.
        public static let connectorFailed = Code(rawValue: "connectorFailed")
        /// There is a way in, but no shell that runs what we send.
        public static let noShell = Code(rawValue: "noShell")
        /// No place on the machine takes an executable; the message lists each try.
        public static let noPlace = Code(rawValue: "noPlace")
        /// There is no image for the machine's system and processor.
        public static let wrongPlatform = Code(rawValue: "wrongPlatform")
        /// The machine has no interpreter for the runtime that was to run there; the message lists those looked for.
        public static let noInterpreter = Code(rawValue: "noInterpreter")
        /// The image was started and ended before it said hello.
        public static let imageDied = Code(rawValue: "imageDied")
        /// The image cannot be read or sent.
        public static let imageUnusable = Code(rawValue: "imageUnusable")
        /// What came is not what an agent of this program says.
        public static let handshakeFailed = Code(rawValue: "handshakeFailed")
        /// A phase of the connect, or all of it, took too long.
        public static let connectTimedOut = Code(rawValue: "connectTimedOut")

        // MARK: Using

        /// The context, or a link on the way to it, is gone.
        public static let contextLost = Code(rawValue: "contextLost")
        /// The context lives on without us: it was detached while this was under way.
        public static let contextDetached = Code(rawValue: "contextDetached")
        /// There is no such detached context any more: its lease has ended, or it was ended otherwise.
        public static let leaseEnded = Code(rawValue: "leaseEnded")
        /// The time that the caller gave has passed.
        public static let deadlineExceeded = Code(rawValue: "deadlineExceeded")
        /// The task's type cannot be found from its name: it is private, or in a module of another name.
        public static let taskNotRemote = Code(rawValue: "taskNotRemote")
        /// A value cannot be encoded or decoded.
        public static let valueUnusable = Code(rawValue: "valueUnusable")
        /// The task threw an error that it had not declared as its `Failure`.
        public static let taskFailed = Code(rawValue: "taskFailed")
        /// The program could not be started.
        public static let commandNotStarted = Code(rawValue: "commandNotStarted")
        /// A file, here or there, cannot be read or written; the message says which, and why.
        public static let fileFailed = Code(rawValue: "fileFailed")
        /// A file is there already, and was not to be overwritten.
        public static let fileExists = Code(rawValue: "fileExists")
        /// A task was not run, because one before it in its chain had failed.
        public static let chainBroken = Code(rawValue: "chainBroken")
        /// One end of a channel was closed, so that nothing can be sent any more.
        public static let channelClosed = Code(rawValue: "channelClosed")
        /// The other context may not be asked for this from here.
        public static let refused = Code(rawValue: "refused")
        /// A limit was reached: of streams, of a value's size, of the tree's depth.
        public static let limitExceeded = Code(rawValue: "limitExceeded")
        /// The other side broke the protocol.
        public static let protocolViolation = Code(rawValue: "protocolViolation")
        /// Something was done at a time or in a place where it cannot be.
        public static let misuse = Code(rawValue: "misuse")
    }

    /// What kind of failure it is.
    public var code: Code
    /// What happened, in one sentence without a full stop.
    public var message: String
    /// Where.
    public var route: Route
    /// In which phase, if it happened while connecting.
    public var phase: ConnectPhase?
    /// What the far side printed, or its backtrace; the last lines.
    public var detail: String?
    /// What to try.
    public var advice: String?
    /// The name of the error's type, for an error that a task threw.
    public var remoteType: String?

    /// An error of a connector or of code that speaks for Martlet. The route is added by who knows it.
    public init(
        _ code: Code,
        _ message: String,
        route: Route = Route(),
        phase: ConnectPhase? = nil,
        detail: String? = nil,
        advice: String? = nil,
        remoteType: String? = nil
    ) {
        self.code = code
        self.message = message
        self.route = route
        self.phase = phase
        self.detail = detail
        self.advice = advice
        self.remoteType = remoteType
    }
}

extension MartletError: CustomStringConvertible {
    /// The message and the route on the first line, then what the far side said, then what to try.
    public var description: String {
        var text = "\(message) [\(route)"
        if let phase { text += ", phase \(phase)" }
        text += "]"
        if let detail, !detail.isEmpty {
            text +=
                "\n"
                + detail.split(separator: "\n", omittingEmptySubsequences: true)
                .map { "    \($0)" }.joined(separator: "\n")
        }
        if let advice { text += "\n  try: \(advice)" }
        return text
    }
}

extension MartletError: Codable {}

/// The steps of a connect, each with its share of the time.
public enum ConnectPhase: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// Waiting for a turn: connects are paced.
    case queue
    /// Finding the machine and opening a connection to it.
    case reach
    /// Proving who we are.
    case authenticate
    /// Getting the image to run there.
    case boot
    /// Agreeing on the protocol.
    case handshake

    /// The name.
    public var description: String { rawValue }
}
