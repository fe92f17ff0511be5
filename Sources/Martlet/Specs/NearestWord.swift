/// Finds what was meant by a word that is not known.
package enum NearestWord {
    /// The one with the fewest letters to insert, delete, replace or swap with their neighbour, if they are few for its
    /// length; or one that begins with the word. The first of several.
    package static func of(_ word: String, among candidates: some Sequence<String>) -> String? {
        let letters = Array(word.lowercased().utf8)
        guard !letters.isEmpty, letters.count <= 64 else { return nil }
        var best: (word: String, distance: Int)?
        for candidate in candidates {
            let distance = distance(letters, Array(candidate.utf8))
            guard distance <= max(1, min(3, max(letters.count, candidate.utf8.count) / 3)), distance < letters.count
            else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
        }
        if let best { return best.word }
        guard letters.count >= 2 else { return nil }
        return candidates.first { $0.utf8.starts(with: letters) }
    }

    /// Damerau's distance, each letter touched once.
    static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        guard !first.isEmpty, !second.isEmpty else { return max(first.count, second.count) }
        var before = [Int](repeating: 0, count: second.count + 1)
        var last = Array(0...second.count)
        for row in 1...first.count {
            var next = [row] + [Int](repeating: 0, count: second.count)
            for column in 1...second.count {
                let isSame = first[row - 1] == second[column - 1]
                next[column] = min(last[column] + 1, next[column - 1] + 1, last[column - 1] + (isSame ? 0 : 1))
                if row > 1, column > 1, first[row - 1] == second[column - 2], first[row - 2] == second[column - 1] {
                    next[column] = min(next[column], before[column - 2] + 1)
                }
            }
            (before, last) = (last, next)
        }
        return last[second.count]
    }
}
