package import Martlet

/// Many names in one: `web[01-20]`, `rack[1-2]node[1-4]`, `web[0-10/2,30]`, `web[1[0-5],20]`.
///
/// What stands in brackets is numbers and ranges, separated by commas; a range may have a step behind a slash. Zeros in
/// front stay. Brackets with anything else stay as they are: `[::1]:22`.
package enum NodePattern {
    /// How many names one expansion may have.
    package static let limit = 100_000

    /// All names, in the order in which they are written, each as often as it is.
    ///
    /// - Throws: ``SpecError`` for a range that is none, or more than ``limit`` names.
    package static func expand(_ text: String) throws(SpecError) -> [String] {
        guard text.utf8.contains(UInt8(ascii: "[")) else { return [text] }
        let spec = Array(text.unicodeScalars)
        return try expand(spec[...], in: spec)
    }

    /// Cuts at the commas that are in no brackets.
    package static func split(_ text: String) -> [String] {
        let spec = Array(text.unicodeScalars)
        return items(spec[...]).map { String(String.UnicodeScalarView($0)) }
    }

    /// - Parameter spec: what errors are shown in.
    static func expand(_ text: ArraySlice<Unicode.Scalar>, in spec: [Unicode.Scalar]) throws(SpecError) -> [String] {
        var results = [""]
        var literal = ""
        var position = text.startIndex
        while position < text.endIndex {
            guard text[position] == "[", let close = end(of: position, in: text) else {
                literal.unicodeScalars.append(text[position])
                position += 1
                continue
            }
            let numbers = try numbers(text[(position + 1)..<close], in: spec)
            guard results.count * numbers.count <= limit else { throw tooMany(spec, position..<close + 1) }
            results = results.flatMap { head in numbers.map { head + literal + $0 } }
            literal = ""
            position = close + 1
        }
        return literal.isEmpty ? results : results.map { $0 + literal }
    }

    /// Where brackets close that have numbers in them.
    private static func end(of open: Int, in text: ArraySlice<Unicode.Scalar>) -> Int? {
        var depth = 0
        for position in open..<text.endIndex {
            switch text[position] {
            case "[": depth += 1
            case "]":
                depth -= 1
                if depth == 0 { return position > open + 1 ? position : nil }
            case "0"..."9", ",", "-", "/": break
            default: return nil
            }
        }
        return nil
    }

    private static func numbers(
        _ text: ArraySlice<Unicode.Scalar>, in spec: [Unicode.Scalar]
    ) throws(SpecError) -> [String] {
        var numbers: [String] = []
        for item in items(text) {
            if item.contains("[") {
                for name in try expand(item, in: spec) {
                    guard (1...9).contains(name.utf8.count), name.utf8.allSatisfy({ (48...57).contains($0) }) else {
                        throw notARange(item, spec)
                    }
                    numbers.append(name)
                }
            } else {
                try range(item, in: spec, &numbers)
            }
            guard numbers.count <= limit else { throw tooMany(spec, text.startIndex..<text.endIndex) }
        }
        return numbers
    }

    /// At the commas that are in no further brackets.
    private static func items(_ text: ArraySlice<Unicode.Scalar>) -> [ArraySlice<Unicode.Scalar>] {
        var items: [ArraySlice<Unicode.Scalar>] = []
        var (start, depth) = (text.startIndex, 0)
        for position in text.indices {
            switch text[position] {
            case "[": depth += 1
            case "]": depth -= 1
            case "," where depth == 0:
                items.append(text[start..<position])
                start = position + 1
            default: break
            }
        }
        return items + [text[start...]]
    }

    private static func range(
        _ item: ArraySlice<Unicode.Scalar>, in spec: [Unicode.Scalar], _ numbers: inout [String]
    ) throws(SpecError) {
        let halves = item.split(separator: "/", omittingEmptySubsequences: false)
        let ends = (halves.first ?? []).split(separator: "-", omittingEmptySubsequences: false)
            .map { String(String.UnicodeScalarView($0)) }
        let step = halves.count == 2 ? Int(String(String.UnicodeScalarView(halves[1]))) : 1
        guard halves.count <= 2, halves.count == 1 || ends.count == 2, let step, (1...999_999_999).contains(step),
            (1...2).contains(ends.count), ends.allSatisfy({ (1...9).contains($0.utf8.count) }),
            let first = Int(ends[0]), let last = Int(ends[ends.count - 1]), first <= last
        else { throw notARange(item, spec) }
        guard numbers.count + (last - first) / step < limit else {
            throw tooMany(spec, item.startIndex..<item.endIndex)
        }
        let width = ends[0].utf8.count
        for number in stride(from: first, through: last, by: step) {
            let digits = "\(number)"
            numbers.append(String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits)
        }
    }

    private static func notARange(_ item: ArraySlice<Unicode.Scalar>, _ spec: [Unicode.Scalar]) -> SpecError {
        SpecError(
            .badArgument, "this is not a range", in: spec,
            at: item.startIndex..<max(item.startIndex + 1, item.endIndex),
            advice: "write it as [1-20], [01-20], [1,3,5-9] or [0-20/2]")
    }

    static func tooMany(_ spec: [Unicode.Scalar], _ range: Range<Int>) -> SpecError {
        SpecError(.tooLong, "this stands for more than \(limit) names", in: spec, at: range)
    }
}
