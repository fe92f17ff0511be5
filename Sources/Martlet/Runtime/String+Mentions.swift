extension StringProtocol {
    /// Whether `words` occur in the text. `contains` of the standard library does the same, and costs every new host half
    /// a megabyte: it brings the regular expressions.
    func mentions(_ words: some StringProtocol) -> Bool {
        var rest = utf8[...]
        let wanted = words.utf8
        guard let first = wanted.first else { return true }
        while let start = rest.firstIndex(of: first) {
            if rest[start...].starts(with: wanted) { return true }
            rest = rest[rest.index(after: start)...]
        }
        return false
    }
}
