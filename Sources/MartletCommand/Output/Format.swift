/// How durations and sizes are written for people.
enum Format {
    /// Three digits or so: `61 µs`, `1.21 ms`, `182 ms`, `2.31 s`, `3 min 12 s`.
    static func duration(_ duration: Duration) -> String {
        let microseconds = microseconds(duration)
        switch microseconds {
        case ..<1_000: return "\(microseconds) µs"
        case ..<10_000: return "\(decimals(microseconds, unit: 1_000, digits: 2)) ms"
        case ..<100_000: return "\(decimals(microseconds, unit: 1_000, digits: 1)) ms"
        case ..<1_000_000: return "\(microseconds / 1_000) ms"
        case ..<60_000_000: return "\(decimals(microseconds, unit: 1_000_000, digits: 2)) s"
        default: return "\(microseconds / 60_000_000) min \(microseconds / 1_000_000 % 60) s"
        }
    }

    /// A limit that somebody gave: `5 s`, `0.5 s`.
    static func limit(_ duration: Duration) -> String {
        var text = decimals(microseconds(duration), unit: 1_000_000, digits: 3)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return "\(text) s"
    }

    /// Seconds as a decimal number, for machines.
    static func seconds(_ duration: Duration) -> String {
        decimals(microseconds(duration), unit: 1_000_000, digits: 6)
    }

    /// `812 B`, `24.1 kB`, `3.14 MB`, `2.1 GB`.
    static func bytes(_ count: Int) -> String {
        switch count {
        case ..<1_000: "\(count) B"
        case ..<1_000_000: "\(decimals(count, unit: 1_000, digits: 1)) kB"
        case ..<1_000_000_000: "\(decimals(count, unit: 1_000_000, digits: 2)) MB"
        default: "\(decimals(count, unit: 1_000_000_000, digits: 1)) GB"
        }
    }

    static func count(_ count: Int, _ singular: String, _ plural: String? = nil) -> String {
        "\(count) \(count == 1 ? singular : plural ?? singular + "s")"
    }

    private static func microseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return Int(clamping: seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
    }

    private static func decimals(_ value: Int, unit: Int, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let rounded = (value * scale + unit / 2) / unit
        let fraction = String(rounded % scale)
        return "\(rounded / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}

extension String {
    /// Filled up with blanks.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

    func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

    /// Cut to so many characters, with a mark where it was cut.
    func truncated(to width: Int) -> String { count <= width ? self : String(prefix(max(0, width - 1))) + "…" }
}
