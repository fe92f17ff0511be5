public import Martlet

/// What came of a command.
public struct OperationResult: Sendable, Hashable {
    /// As it was run, with its prefixes.
    public var command: String
    /// The host as the settings named it; `local` for this machine.
    public var host: String
    /// How it ended.
    public var termination: Termination
    /// What it wrote to its standard output, as bytes: nothing is decoded or changed. From a terminal lines end with `\r\n`.
    public var standardOutput: [UInt8]
    /// What it wrote to its standard error: nothing if it had a terminal, or the two were combined.
    public var standardError: [UInt8]
    /// More came than was to be kept.
    public var isTruncated: Bool
    /// From start to end, by the far clock.
    public var duration: Duration
    /// The way to where it ran.
    public var route: Route

    /// A result, as a test may want it.
    public init(
        command: String, host: String, termination: Termination = .exited(0), standardOutput: [UInt8] = [],
        standardError: [UInt8] = [], isTruncated: Bool = false, duration: Duration = .zero, route: Route = Route()
    ) {
        self.command = command
        self.host = host
        self.termination = termination
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.isTruncated = isTruncated
        self.duration = duration
        self.route = route
    }

    /// It exited with code 0.
    public var succeeded: Bool { termination == .exited(0) }
    /// It did not.
    public var failed: Bool { !succeeded }
    /// `nil`: it did not exit by itself.
    public var exitCode: Int32? { if case .exited(let code) = termination { code } else { nil } }
    /// The name of the signal that ended it, without `SIG`: `KILL`.
    public var signal: String? { termination.signalName }
    /// Its time was up.
    public var timedOut: Bool { if case .timedOut = termination { true } else { false } }

    /// Standard output as text: what is not UTF-8 is replaced.
    public var output: String { String(decoding: standardOutput, as: UTF8.self) }
    /// Standard error as text.
    public var errors: String { String(decoding: standardError, as: UTF8.self) }
    /// Standard output as lines, without their ends (`\n` or `\r\n`).
    public var lines: [String] { TextLines.of(standardOutput) }
    /// Standard error as lines.
    public var errorLines: [String] { TextLines.of(standardError) }
}

enum TextLines {
    static func of(_ bytes: [UInt8]) -> [String] {
        bytes.cutIntoLines.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The last lines, of which none is empty, without a pass over what comes before.
    static func last(_ count: Int, of bytes: [UInt8]) -> [String] {
        Array(of(Array(bytes.suffix(8192))).filter { !$0.isEmpty }.suffix(count))
    }
}
