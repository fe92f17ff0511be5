/// What operations show.
public struct OutputParts: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: Int
    /// Parts by their bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Each command, before it runs (`run`).
    public static let running = OutputParts(rawValue: 1)
    /// What commands write to standard output (`out`).
    public static let output = OutputParts(rawValue: 2)
    /// What commands write to standard error (`err`).
    public static let errors = OutputParts(rawValue: 4)
    /// What has failed: warnings, and the reason before an error is thrown.
    public static let failures = OutputParts(rawValue: 8)
    /// All of it.
    public static let all: OutputParts = [.running, .output, .errors, .failures]
}
