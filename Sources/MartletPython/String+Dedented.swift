extension String {
    /// Without the blanks and tabs that all lines begin with. Lines of nothing else do not count, and become empty: every
    /// line keeps its number.
    var dedented: String {
        let lines = utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var margin: Substring.UTF8View?
        for line in lines {
            let indent = line.prefix { $0 == 0x20 || $0 == 0x09 }
            if indent.count == line.count || line.dropFirst(indent.count).elementsEqual([0x0d]) { continue }
            guard let known = margin else {
                margin = indent
                continue
            }
            margin = known.prefix(zip(known, indent).prefix { $0 == $1 }.count)
        }
        guard let width = margin?.count, width > 0 else { return self }
        return lines.map { line in
            let indent = line.prefix { $0 == 0x20 || $0 == 0x09 }
            return String(Substring(line.dropFirst(min(width, indent.count))))
        }.joined(separator: "\n")
    }
}
