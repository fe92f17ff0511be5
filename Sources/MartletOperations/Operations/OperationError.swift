public import Martlet

/// An operation that failed: what, where, what the command wrote, and what to try.
///
/// That a host cannot be reached, or is lost, is a `MartletError`, as everywhere.
public struct OperationError: Error, Sendable {
    /// What kind of failure it is: stable, for programs.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The name.
        public var rawValue: String
        /// A code by its name.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// The name.
        public var description: String { rawValue }

        /// The command exited with another code than 0.
        public static let commandFailed = Code(rawValue: "commandFailed")
        /// A signal ended the command.
        public static let commandSignalled = Code(rawValue: "commandSignalled")
        /// The command took too long; what it wrote until then is in the result.
        public static let commandTimedOut = Code(rawValue: "commandTimedOut")
        /// The command could not be started: its program or its directory is not there.
        public static let commandNotStarted = Code(rawValue: "commandNotStarted")
        /// Somebody would have been asked, and nobody was to be.
        public static let promptAborted = Code(rawValue: "promptAborted")
        /// The answer to a command's question was not accepted. See ``FailingResponder``.
        public static let responseRefused = Code(rawValue: "responseRefused")
        /// A file could not be copied.
        public static let transferFailed = Code(rawValue: "transferFailed")
        /// There is a file already, and it was not to be overwritten.
        public static let fileExists = Code(rawValue: "fileExists")
        /// The settings name no host.
        public static let noHost = Code(rawValue: "noHost")
        /// A ``MockHost`` was asked for something that it has no answer to.
        public static let unexpected = Code(rawValue: "unexpected")
        /// Something was done at a time or in a way that it cannot be.
        public static let misuse = Code(rawValue: "misuse")
    }

    /// What kind of failure it is.
    public var code: Code
    /// What happened, in one sentence without a full stop.
    public var message: String
    /// The host as the settings named it.
    public var host: String?
    /// Where, as far as it was reached.
    public var route: Route?
    /// What the command did until then.
    public var result: OperationResult?
    /// The last lines of what was not shown when it came.
    public var detail: String?
    /// What to try.
    public var advice: String?
    /// The error below it.
    public var underlying: (any Error)?

    /// An error of an operation, or of code that behaves as one.
    public init(
        _ code: Code, _ message: String, host: String? = nil, route: Route? = nil, result: OperationResult? = nil,
        detail: String? = nil, advice: String? = nil, underlying: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.host = host
        self.route = route
        self.result = result
        self.detail = detail
        self.advice = advice
        self.underlying = underlying
    }
}

extension OperationError: CustomStringConvertible {
    /// The message and where on the first line, then what the command wrote, then what to try.
    public var description: String {
        var text = message
        if let place = route.map({ "\($0)" }) ?? host { text += " [\(place)]" }
        if let detail, !detail.isEmpty {
            text += "\n" + detail.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n")
        }
        if let advice { text += "\n  try: \(advice)" }
        return text
    }
}

extension OperationError {
    /// How many lines of a hidden output an error has.
    private static let tail = 10

    /// That a command failed; lines that the user has seen are not repeated.
    init(_ result: OperationResult, _ writer: LineWriter) {
        let (code, advice): (Code, String?) =
            switch result.termination {
            case .exited(126): (.commandFailed, "the program is there, but may not be executed: look at its mode")
            case .exited(127): (.commandFailed, "the shell did not find a program of that name: look at PATH there")
            case .exited: (.commandFailed, nil)
            case .signalled: (.commandSignalled, nil)
            case .timedOut: (.commandTimedOut, "it was ended; give it more time by .timeout(…)")
            }
        let how =
            switch result.termination {
            case .exited(let code): "ended with exit code \(code)"
            case .signalled: "was ended by signal \(result.signal ?? "?")"
            case .timedOut(let limit): "was ended when its time was up, after \(limit)"
            }
        var hidden: [String] = []
        if !writer.shows(.output) { hidden += TextLines.last(Self.tail, of: result.standardOutput) }
        if !writer.shows(.errors) { hidden += TextLines.last(Self.tail, of: result.standardError) }
        self.init(
            code, "\(result.command.quotedForPeople) \(how)", host: result.host,
            route: result.route, result: result, detail: hidden.isEmpty ? nil : hidden.joined(separator: "\n"),
            advice: advice)
    }
}

extension String {
    /// A command in a message: one line, not too long.
    var quotedForPeople: String {
        let line = split(separator: "\n", omittingEmptySubsequences: true).joined(separator: "; ")
        return "“\(line.count > 200 ? line.prefix(200) + "…" : line)”"
    }
}

extension Settings {
    /// Runs one operation, all of it: why it fails is shown, and thrown as ``Setting/abort(with:)`` has it.
    ///
    /// - Parameter host: where, for errors that do not say.
    func operation<R>(on host: String?, _ body: () async throws -> R) async throws -> R {
        do { return try await body() } catch var error as OperationError {
            error.host = error.host ?? host
            throw failure(error)
        }
    }

    /// Shows why an operation fails.
    ///
    /// - Returns: what is thrown for it.
    func failure(_ error: OperationError) -> any Error {
        let route = error.route.flatMap { $0.steps.isEmpty ? nil : "\($0)" }
        let place = (route ?? error.host).map { " [\($0)]" } ?? ""
        LineWriter(self, host: error.host).fatal(error.message + place)
        return self[AbortKey.self]?(error) ?? error
    }

    /// The result, if it is one that the caller wants to see.
    ///
    /// - Throws: ``OperationError``.
    func judge(_ result: OperationResult, _ writer: LineWriter) throws -> OperationResult {
        guard result.failed else { return result }
        let error = OperationError(result, writer)
        if self[WarnOnlyKey.self] ?? false {
            writer.warn(error.message)
            return result
        }
        throw error
    }
}
