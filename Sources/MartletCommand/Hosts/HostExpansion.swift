import Martlet

/// Ranges in the names of hosts: `web[1-3]`, `web[01-20]`, `db[1,3,5-9]`, more than one in a name. Brackets with anything
/// but digits, commas and dashes stay as they are: `[::1]:22`.
enum HostExpansion {
    /// For one word.
    static let limit = 100_000

    /// Cuts at commas, but not at those in brackets.
    static func split(_ text: String) -> [String] {
        var parts = [""]
        var isInBrackets = false
        for character in text {
            if character == "[" { isInBrackets = true }
            if character == "]" { isInBrackets = false }
            if character == ",", !isInBrackets { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }

    /// - Throws: ``SpecError`` for a range that is none, or too many hosts.
    static func expand(_ text: String) throws(SpecError) -> [String] {
        let spec = Array(text.unicodeScalars)
        var results = [""]
        var position = 0
        while position < spec.count {
            guard spec[position] == "[", let close = spec[position...].firstIndex(of: "]"), close > position + 1,
                spec[(position + 1)..<close].allSatisfy({ ("0"..."9").contains($0) || $0 == "," || $0 == "-" })
            else {
                for index in results.indices { results[index].unicodeScalars.append(spec[position]) }
                position += 1
                continue
            }
            let numbers = try numbers(spec, position + 1..<close)
            guard results.count * numbers.count <= limit else {
                throw SpecError(
                    .tooLong, "this stands for more than \(limit) hosts", in: spec, at: position..<close + 1)
            }
            results = results.flatMap { head in numbers.map { head + $0 } }
            position = close + 1
        }
        return results
    }

    private static func numbers(_ spec: [Unicode.Scalar], _ range: Range<Int>) throws(SpecError) -> [String] {
        var numbers: [String] = []
        for item in spec[range].split(separator: ",", omittingEmptySubsequences: false) {
            let ends = item.split(separator: "-", omittingEmptySubsequences: false)
                .map { String(String.UnicodeScalarView($0)) }
            guard ends.count <= 2, ends.allSatisfy({ (1...9).contains($0.count) }), let first = Int(ends[0]),
                let last = Int(ends[ends.count - 1]), first <= last
            else {
                throw SpecError(
                    .badArgument, "this is not a range", in: spec,
                    at: item.startIndex..<max(item.startIndex + 1, item.endIndex),
                    advice: "write it as [1-20], [01-20] or [1,3,5-9]")
            }
            guard numbers.count + last - first < limit else {
                throw SpecError(.tooLong, "this stands for more than \(limit) hosts", in: spec, at: range)
            }
            for number in first...last {
                let digits = "\(number)"
                numbers.append(String(repeating: "0", count: max(0, ends[0].count - digits.count)) + digits)
            }
        }
        return numbers
    }
}
