/// A rule for which files of a tree are meant, as rsync's: the first that matches decides, and what none matches is meant.
///
/// A pattern with a `/` in it, but at its end, is for a path, which it must match from the root if it begins with one, else at
/// the end; any other is for a name. `*` stands for anything but a slash, `**` for anything, `?` for one character but a
/// slash, `[a-z]` for one of a set; with a slash at its end it is for folders only. What is in a folder that is excluded is
/// not looked at.
public struct FileFilter: Sendable, Hashable {
    var pattern: [UInt8]
    var isIncluded: Bool

    /// What matches is copied.
    public static func include(_ pattern: String) -> FileFilter {
        .init(pattern: Array(pattern.utf8), isIncluded: true)
    }
    /// What matches is not copied, and never deleted.
    public static func exclude(_ pattern: String) -> FileFilter {
        .init(pattern: Array(pattern.utf8), isIncluded: false)
    }

    /// Whether a path in the tree is meant.
    static func includes(_ path: [UInt8], isFolder: Bool, _ filters: [FileFilter]) -> Bool {
        for filter in filters where filter.matches(path, isFolder: isFolder) { return filter.isIncluded }
        return true
    }

    func matches(_ path: [UInt8], isFolder: Bool) -> Bool {
        var pattern = self.pattern[...]
        if pattern.last == [UInt8].slash {
            guard isFolder else { return false }
            pattern = pattern.dropLast()
        }
        if pattern.first == [UInt8].slash { return Self.matches(path[...], pattern.dropFirst()) }
        guard pattern.contains([UInt8].slash) else {
            // `**` alone spans no more than a name does, as a name is all there is.
            let start = path.lastIndex(of: [UInt8].slash).map { $0 + 1 } ?? 0
            return Self.matches(path[start...], pattern)
        }
        // At the end: behind any slash.
        var start = 0
        while true {
            if Self.matches(path[start...], pattern) { return true }
            guard let slash = path[start...].firstIndex(of: [UInt8].slash) else { return false }
            start = slash + 1
        }
    }

    /// Goes back to the last star only, so that no pattern takes long: but for `**`, which may go further than `*`.
    private static func matches(_ text: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
        var (t, p) = (text.startIndex, pattern.startIndex)
        // Where to go on, if it does not match: behind the last star, and behind the last double one.
        var single: (t: Int, p: Int)?
        var double: (t: Int, p: Int)?
        while true {
            if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
                p += 1
                if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
                    while p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") { p += 1 }
                    (double, single) = ((t, p), nil)
                } else {
                    single = (t, p)
                }
                continue
            }
            if t == text.endIndex, p == pattern.endIndex { return true }
            if t < text.endIndex, p < pattern.endIndex, let next = matchesOne(text[t], pattern, p) {
                (t, p) = (t + 1, next)
            } else if let star = single, star.t < text.endIndex, text[star.t] != [UInt8].slash {
                single = (star.t + 1, star.p)
                (t, p) = (star.t + 1, star.p)
            } else if let star = double, star.t < text.endIndex {
                (double, single) = ((star.t + 1, star.p), nil)
                (t, p) = (star.t + 1, star.p)
            } else {
                return false
            }
        }
    }

    /// - Returns: where the pattern goes on, if what is at `p` matches.
    private static func matchesOne(_ byte: UInt8, _ pattern: ArraySlice<UInt8>, _ p: Int) -> Int? {
        switch pattern[p] {
        case UInt8(ascii: "?"): return byte == [UInt8].slash ? nil : p + 1
        case UInt8(ascii: "\\") where p + 1 < pattern.endIndex: return pattern[p + 1] == byte ? p + 2 : nil
        case UInt8(ascii: "["):
            var next = p + 1
            let isNegated = next < pattern.endIndex && [UInt8(ascii: "!"), UInt8(ascii: "^")].contains(pattern[next])
            if isNegated { next += 1 }
            let first = next
            var isMember = false
            while next < pattern.endIndex, pattern[next] != UInt8(ascii: "]") || next == first {
                if next + 2 < pattern.endIndex, pattern[next + 1] == UInt8(ascii: "-"),
                    pattern[next + 2] != UInt8(ascii: "]")
                {
                    if pattern[next] <= byte && byte <= pattern[next + 2] { isMember = true }
                    next += 3
                } else {
                    if pattern[next] == byte { isMember = true }
                    next += 1
                }
            }
            // Without its end it is no set.
            guard next < pattern.endIndex else { return byte == UInt8(ascii: "[") ? p + 1 : nil }
            return isMember != isNegated && byte != [UInt8].slash ? next + 1 : nil
        default: return pattern[p] == byte ? p + 1 : nil
        }
    }
}
