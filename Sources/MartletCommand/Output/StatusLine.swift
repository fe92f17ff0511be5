/// A line of what stands at the end of a terminal, below all that is printed.
struct StatusLine: Hashable, Sendable {
    /// How it looks, where there are colours.
    enum Look: Sendable {
        case plain, heading, faint, good, bad, warning
    }

    let text: String
    let look: Look

    init(_ text: String, _ look: Look) { (self.text, self.look) = (text, look) }

    /// - Parameter width: in columns; what is longer is cut.
    func painted(_ style: Style, width: Int) -> String {
        let text = text.truncated(to: width)
        return switch look {
        case .plain: text
        case .heading: style.heading(text)
        case .faint: style.faint(text)
        case .good: style.good(text)
        case .bad: style.bad(text)
        case .warning: style.warning(text)
        }
    }
}

/// What is drawn at the end of a terminal: how to take it away again, also when the terminal has another width by then.
struct DrawnStatus: Sendable {
    /// How many columns each of its lines takes.
    private var widths: [Int] = []

    var isEmpty: Bool { widths.isEmpty }

    /// What takes it away; the cursor stands where it began.
    ///
    /// - Parameter columns: of the terminal now. Terminals wrap what has become too long for them.
    mutating func erasure(columns: Int) -> String {
        guard !isEmpty else { return "" }
        let rows = widths.reduce(0) { $0 + max(1, ($1 + columns - 1) / columns) }
        widths = []
        return rows == 1 ? "\r\u{1b}[K" : "\r\u{1b}[\(rows - 1)A\u{1b}[J"
    }

    /// What draws these lines; the cursor stays behind the last.
    mutating func drawing(_ lines: [StatusLine], _ style: Style, columns: Int) -> String {
        // The last column stays free: some terminals begin a new line there.
        let width = columns - 1
        widths = lines.map { min($0.text.count, width) }
        return lines.map { $0.painted(style, width: width) }.joined(separator: "\n")
    }
}
