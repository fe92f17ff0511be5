/// How a command ended.
public enum Termination: Hashable, Sendable, CustomStringConvertible {
    /// It exited with this code; 0 is success.
    case exited(Int32)
    /// It was ended by this signal.
    case signalled(Int32)
    /// Its time was up; it and all that it had started in its process group were ended.
    case timedOut(after: Duration)

    /// `exit code 3`, `signal KILL`, `timed out after 2.0 seconds`.
    public var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(SignalName.of(number))"
        case .timedOut(let limit): "timed out after \(limit)"
        }
    }
}

/// What came of a command.
public struct CommandResult: Sendable {
    /// As it was given, for people.
    public var command: String
    /// How it ended.
    public var termination: Termination
    /// What it wrote to its standard output, as bytes: nothing is decoded or changed.
    public var standardOutput: [UInt8]
    /// What it wrote to its standard error.
    public var standardError: [UInt8]
    /// More came than was to be kept; the program was not disturbed.
    public var isTruncated: Bool
    /// From start to end, by the far clock.
    public var duration: Duration
    /// Where it ran.
    public var route: Route

    package init(
        command: String, termination: Termination, standardOutput: [UInt8] = [], standardError: [UInt8] = [],
        isTruncated: Bool = false, duration: Duration, route: Route
    ) {
        self.command = command
        self.termination = termination
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.isTruncated = isTruncated
        self.duration = duration
        self.route = route
    }

    /// It exited with code 0.
    public var succeeded: Bool { termination == .exited(0) }

    /// Standard output as text: what is not UTF-8 is replaced.
    public var text: String { String(decoding: standardOutput, as: UTF8.self) }
    /// Standard error as text.
    public var errorText: String { String(decoding: standardError, as: UTF8.self) }
    /// Standard output as lines, however long, without their ends.
    public var lines: [String] { standardOutput.cutIntoLines.map { String(decoding: $0, as: UTF8.self) } }
}

/// One line that a program wrote.
public struct OutputLine: Sendable, Codable, CustomStringConvertible {
    /// Standard output or standard error.
    public enum Pipe: String, Sendable, Codable {
        case output
        case error
    }

    /// What stands behind the bytes of a line.
    public enum End: String, Sendable, Codable {
        /// Nothing: the output ended without one, or the line is longer than 64 KiB, and its next piece follows.
        case none
        /// `\n`.
        case lineFeed
        /// `\r\n`.
        case carriageReturnLineFeed
    }

    /// Where the program wrote it.
    public var pipe: Pipe
    /// Without the end of the line. A line that is longer than 64 KiB comes in pieces.
    public var bytes: [UInt8]
    /// How the line ends: all bytes and ends one behind the other are what the program wrote to the pipe.
    public var end: End

    package init(pipe: Pipe, bytes: [UInt8], end: End) { (self.pipe, self.bytes, self.end) = (pipe, bytes, end) }

    /// The line as text: what is not UTF-8 is replaced.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
    /// The text.
    public var description: String { text }
}

enum SignalName {
    private static let names: [Int32: String] = [
        1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1",
        11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP",
        20: "TSTP", 21: "TTIN", 22: "TTOU", 24: "XCPU", 25: "XFSZ", 31: "SYS",
    ]

    static func of(_ number: Int32) -> String { names[number] ?? "\(number)" }
}

extension Termination {
    /// The name of the signal that ended the command, without `SIG`.
    public var signalName: String? {
        if case .signalled(let number) = self { SignalName.of(number) } else { nil }
    }
}
