/// How one text differs from another, line by line.
public struct LineDifference: Sendable, Hashable {
    /// A line, and what is with it.
    public enum Line: Sendable, Hashable {
        /// Both have it.
        case common(String)
        /// Only the first has it.
        case removed(String)
        /// Only the second has it.
        case added(String)

        /// With a blank, `-` or `+` in front.
        public var text: String {
            switch self {
            case .common(let line): " \(line)"
            case .removed(let line): "-\(line)"
            case .added(let line): "+\(line)"
            }
        }
    }

    /// What differs in one place, with common lines around it.
    public struct Hunk: Sendable, Hashable {
        /// The number of its first line in the first text, from 1 on, and of how many it is made there.
        public let old: (start: Int, count: Int)
        /// The same for the second text.
        public let new: (start: Int, count: Int)
        /// Its lines.
        public let lines: [Line]

        public static func == (a: Hunk, b: Hunk) -> Bool { a.old == b.old && a.new == b.new && a.lines == b.lines }
        public func hash(into hasher: inout Hasher) { hasher.combine(lines) }
    }

    /// None: the texts are the same.
    public let hunks: [Hunk]

    /// Beyond so many lines on either side that are not common at both ends, all of them count as different: to look for what
    /// is common would take too long.
    static let limit = 5_000

    /// - Parameter context: how many common lines stand around what differs.
    public init(from old: [String], to new: [String], context: Int = 3) {
        hunks = Self.hunks(Self.lines(old, new), max(0, context))
    }

    private static func lines(_ old: [String], _ new: [String]) -> [Line] {
        let head = zip(old, new).prefix { $0 == $1 }.count
        let tail = zip(old.dropFirst(head).reversed(), new.dropFirst(head).reversed()).prefix { $0 == $1 }.count
        let (oldMiddle, newMiddle) = (Array(old[head..<(old.count - tail)]), Array(new[head..<(new.count - tail)]))
        var lines = old[..<head].map(Line.common)
        if oldMiddle.count > limit || newMiddle.count > limit {
            lines += oldMiddle.map(Line.removed) + newMiddle.map(Line.added)
        } else {
            let difference = newMiddle.difference(from: oldMiddle)
            var removed: Set<Int> = []
            var added: Set<Int> = []
            for change in difference {
                switch change {
                case .remove(let offset, _, _): removed.insert(offset)
                case .insert(let offset, _, _): added.insert(offset)
                }
            }
            var (i, j) = (0, 0)
            while i < oldMiddle.count || j < newMiddle.count {
                if i < oldMiddle.count, removed.contains(i) {
                    lines.append(.removed(oldMiddle[i]))
                    i += 1
                } else if j < newMiddle.count, added.contains(j) {
                    lines.append(.added(newMiddle[j]))
                    j += 1
                } else {
                    lines.append(.common(oldMiddle[i]))
                    i += 1
                    j += 1
                }
            }
        }
        return lines + old[(old.count - tail)...].map(Line.common)
    }

    private static func hunks(_ lines: [Line], _ context: Int) -> [Hunk] {
        func isCommon(_ line: Line) -> Bool { if case .common = line { true } else { false } }
        var ranges: [Range<Int>] = []
        for index in lines.indices where !isCommon(lines[index]) {
            let range = max(0, index - context)..<min(lines.count, index + context + 1)
            if let last = ranges.last, last.upperBound >= range.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
        }
        var hunks: [Hunk] = []
        var (position, old, new) = (0, 1, 1)
        func count(_ range: Range<Int>) -> (Int, Int) {
            var counts = (0, 0)
            for line in lines[range] {
                switch line {
                case .common: counts = (counts.0 + 1, counts.1 + 1)
                case .removed: counts.0 += 1
                case .added: counts.1 += 1
                }
            }
            return counts
        }
        for range in ranges {
            let before = count(position..<range.lowerBound)
            (old, new) = (old + before.0, new + before.1)
            let inside = count(range)
            hunks.append(Hunk(old: (old, inside.0), new: (new, inside.1), lines: Array(lines[range])))
            (old, new, position) = (old + inside.0, new + inside.1, range.upperBound)
        }
        return hunks
    }
}

extension LineDifference: CustomStringConvertible {
    /// As `diff -u` writes it, without the names of files.
    public var description: String {
        hunks.map { hunk in
            let head = "@@ -\(hunk.old.start),\(hunk.old.count) +\(hunk.new.start),\(hunk.new.count) @@"
            return ([head] + hunk.lines.map(\.text)).joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
