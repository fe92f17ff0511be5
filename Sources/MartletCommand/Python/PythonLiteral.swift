import MartletPython

/// Values as people type them: JSON's literals and Python's.
struct PythonLiteral {
    private var rest: Substring.UnicodeScalarView

    /// What `text` says, or else the text itself.
    static func value(of text: String) -> PythonValue {
        var reader = PythonLiteral(rest: text.unicodeScalars[...])
        guard let value = reader.value(depth: 0) else { return .str(text) }
        reader.skipSpace()
        return reader.rest.isEmpty ? value : .str(text)
    }

    private mutating func value(depth: Int) -> PythonValue? {
        guard depth < 32 else { return nil }
        skipSpace()
        guard let first = rest.first else { return nil }
        switch first {
        case "\"", "'": return string(first).map(PythonValue.str)
        case "[": return items("[", "]", depth).map(PythonValue.list)
        case "(": return items("(", ")", depth).map(PythonValue.tuple)
        case "{": return dictionary(depth)
        case "-", "+", ".", "0"..."9": return number()
        default: return word()
        }
    }

    private mutating func skipSpace() {
        while let next = rest.first, next.properties.isWhitespace { rest.removeFirst() }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipSpace()
        guard rest.first == scalar else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func word() -> PythonValue? {
        let word = String(rest.prefix { $0.properties.isAlphabetic })
        rest = rest.dropFirst(word.unicodeScalars.count)
        switch word {
        case "null", "None": return PythonValue.none
        case "true", "True": return .bool(true)
        case "false", "False": return .bool(false)
        default: return nil
        }
    }

    private mutating func number() -> PythonValue? {
        let text = String(rest.prefix { "+-.0123456789eE_".unicodeScalars.contains($0) })
        rest = rest.dropFirst(text.unicodeScalars.count)
        guard text.utf8.contains(where: { (48...57).contains($0) }), !text.contains("_") else { return nil }
        // With leading zeros it is a name of something: 007.
        let digits = text.drop { $0 == "-" || $0 == "+" }
        if digits.count > 1, digits.first == "0", digits.allSatisfy(\.isNumber) { return nil }
        return PythonInteger(text).map(PythonValue.integer) ?? Double(text).map(PythonValue.float)
    }

    private mutating func string(_ quote: Unicode.Scalar) -> String? {
        rest.removeFirst()
        var text = String.UnicodeScalarView()
        while let next = rest.popFirst() {
            if next == quote { return String(text) }
            guard next == "\\" else {
                text.append(next)
                continue
            }
            guard let escaped = rest.popFirst() else { return nil }
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "r": text.append("\r")
            case "u":
                let digits = String(rest.prefix(4))
                guard digits.count == 4, let code = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(code) else {
                    return nil
                }
                rest = rest.dropFirst(4)
                text.append(scalar)
            default: text.append(escaped)
            }
        }
        return nil
    }

    private mutating func items(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ depth: Int) -> [PythonValue]? {
        guard take(open) else { return nil }
        var items: [PythonValue] = []
        while !take(close) {
            guard let item = value(depth: depth + 1) else { return nil }
            items.append(item)
            guard take(",") else { return take(close) ? items : nil }
        }
        return items
    }

    private mutating func dictionary(_ depth: Int) -> PythonValue? {
        guard take("{") else { return nil }
        var pairs: [PythonValue: PythonValue] = [:]
        while !take("}") {
            guard let key = value(depth: depth + 1), take(":"), let value = value(depth: depth + 1) else { return nil }
            pairs[key] = value
            guard take(",") else { return take("}") ? .dict(pairs) : nil }
        }
        return .dict(pairs)
    }
}
