import CMartlet

/// How large a terminal is, in characters.
public struct TerminalSize: Hashable, Sendable, Codable {
    /// Default: 80.
    public var columns: Int
    /// Default: 24.
    public var rows: Int

    /// A terminal of 80 columns and 24 rows, unless others are given.
    public init(columns: Int = 80, rows: Int = 24) {
        self.columns = columns
        self.rows = rows
    }

    /// The size of the terminal that a descriptor of this process leads to; `nil` if it does not lead to one.
    public static func of(descriptor: Int32) -> TerminalSize? {
        var (columns, rows): (UInt16, UInt16) = (0, 0)
        guard martlet_terminal_size(descriptor, &columns, &rows) else { return nil }
        return TerminalSize(columns: Int(columns), rows: Int(rows))
    }

    var wire: (columns: UInt16, rows: UInt16) { (UInt16(clamping: columns), UInt16(clamping: rows)) }
}
