public import Martlet

/// The terminal that a command gets. Its input, and both its outputs, are that one thing: what it writes to standard error
/// comes with the rest.
public struct OperationTerminal: Sendable, Hashable {
    /// `nil`: as large as this program's own terminal, whose changes it follows; 80 times 24 where there is none.
    public var size: TerminalSize?
    /// `TERM`. Default: `xterm`.
    public var type: String

    /// A terminal.
    public init(size: TerminalSize? = nil, type: String = "xterm") { (self.size, self.type) = (size, type) }
}
