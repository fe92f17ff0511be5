/// Writes specs that read back as what they were made from.
struct SpecPrinter {
    private(set) var text = ""
    /// What was written last is a path, or a `/` behind it would begin one: a hop there needs its colon.
    private var takesSlashes = false

    /// - Parameter kinds: what the spec is going to be read with.
    mutating func hop(
        _ kind: String, _ argument: String?, _ options: [ConnectorSpec.Option], _ kinds: [ConnectorKind]
    ) {
        if !text.isEmpty { text += "/" }
        text += kind
        // Behind a colon without anything a path could begin too.
        if argument != nil || takesSlashes { text += ":" }
        if let argument { write(argument, kinds, isArgument: true, isProgram: false) }
        let form = kinds.first { $0.name == kind }
        for (index, option) in options.enumerated() {
            text += index == 0 ? "?" : "&"
            text += option.name
            takesSlashes = false
            guard let value = option.value else { continue }
            text += "="
            write(value, kinds, isArgument: false, isProgram: form?.option(option.name)?.type == .program)
        }
    }

    private mutating func write(_ value: String, _ kinds: [ConnectorKind], isArgument: Bool, isProgram: Bool) {
        let scalars = Array(value.unicodeScalars)
        var result = String.UnicodeScalarView()
        var isPath = false
        var mayBeginPath = true
        // Where the component of a path that is under way begins, in the result.
        var component: String.UnicodeScalarView.Index?
        for (index, scalar) in scalars.enumerated() {
            let mayBegin = mayBeginPath
            mayBeginPath = false
            switch scalar {
            case "/" where isPath || mayBegin:
                isPath = true
                result.append(scalar)
                component = result.endIndex
                continue
            case "~" where mayBegin, "." where mayBegin:
                isPath = true
            case "=":
                mayBeginPath = true
            case ":":
                if let component, SpecCharacters.isWord(result[component...]) {
                    result.append(contentsOf: "%3A".unicodeScalars)
                    continue
                }
            case "%":
                guard index + 2 < scalars.count, SpecCharacters.hexValue(scalars[index + 1]) != nil,
                    SpecCharacters.hexValue(scalars[index + 2]) != nil
                else { break }
                result.append(contentsOf: "%25".unicodeScalars)
                continue
            case "[", "]":
                if isArgument && Self.isAddress(scalars, index) { break }
                Self.encode(scalar, into: &result)
                continue
            case "/", "?", "&", " ", "#", ",", "'", "\"":
                Self.encode(scalar, into: &result)
                continue
            default:
                guard SpecCharacters.isInvisible(scalar) else { break }
                Self.encode(scalar, into: &result)
                continue
            }
            result.append(scalar)
        }
        if let component, !isProgram, kinds.contains(where: { $0.name == String(result[component...]) }) {
            result.replaceSubrange(result.index(before: component)..<component, with: "%2F".unicodeScalars)
        }
        takesSlashes = isPath || mayBeginPath
        text.unicodeScalars.append(contentsOf: result)
    }

    /// Whether a bracket is one around an IPv6 address.
    private static func isAddress(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
        let start = scalars[index] == "[" ? index : scalars[..<index].lastIndex(of: "[")
        guard let start, let end = scalars[start...].firstIndex(of: "]"), index == start || index == end else {
            return false
        }
        let inside = scalars[(start + 1)..<end]
        return inside.contains(":")
            && inside.allSatisfy {
                SpecCharacters.isWordPart($0) || SpecCharacters.hexValue($0) != nil
                    || ":.%_".unicodeScalars.contains($0)
            }
    }

    private static func encode(_ scalar: Unicode.Scalar, into result: inout String.UnicodeScalarView) {
        for byte in String(scalar).utf8 {
            let digits = String(byte, radix: 16, uppercase: true)
            result.append(contentsOf: "%\(digits.utf8.count < 2 ? "0" : "")\(digits)".unicodeScalars)
        }
    }
}
