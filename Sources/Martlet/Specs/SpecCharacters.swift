/// What the characters of a spec mean.
enum SpecCharacters {
    /// `[a-z][a-z0-9-]*`, as kinds are called.
    static func isWord(_ text: some Collection<Unicode.Scalar>) -> Bool {
        guard let first = text.first, isLower(first) else { return false }
        return text.allSatisfy(isWordPart)
    }

    static func isLower(_ scalar: Unicode.Scalar) -> Bool { scalar >= "a" && scalar <= "z" }
    static func isDigit(_ scalar: Unicode.Scalar) -> Bool { scalar >= "0" && scalar <= "9" }
    static func isWordPart(_ scalar: Unicode.Scalar) -> Bool { isLower(scalar) || isDigit(scalar) || scalar == "-" }

    static func hexValue(_ scalar: Unicode.Scalar) -> UInt8? {
        switch scalar {
        case "0"..."9": UInt8(scalar.value - 0x30)
        case "a"..."f": UInt8(scalar.value - 0x61 + 10)
        case "A"..."F": UInt8(scalar.value - 0x41 + 10)
        default: nil
        }
    }

    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
    }

    /// Control characters, and those that show nothing or turn the direction of writing.
    static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f...0xa0, 0xad, 0x34f, 0x61c, 0x115f...0x1160, 0x1680, 0x17b4...0x17b5, 0x180b...0x180f,
            0x2000...0x200f, 0x2028...0x202f, 0x205f...0x206f, 0x3000, 0x3164, 0xfeff, 0xffa0, 0xfff0...0xfffb,
            0xe0000...0xe0fff:
            true
        default: false
        }
    }
}

/// Words that announce what must not be read by whoever sees a command line, a list of hosts or a log.
enum SpecSecrets {
    static let words = ["password", "passwd", "passphrase", "pass", "secret", "token", "otp", "pin"]

    /// The spec with the values of such options replaced, and where a character of it is then.
    static func masked(_ spec: [Unicode.Scalar], _ offset: Int) -> (String, Int) {
        var result = String.UnicodeScalarView()
        var moved = offset
        var index = 0
        while index < spec.count {
            let scalar = spec[index]
            result.append(scalar)
            index += 1
            guard scalar == "?" || scalar == "&" else { continue }
            let name = spec[index...].prefix { $0 != "=" && $0 != "&" && $0 != "/" && $0 != "?" }
            guard name.endIndex < spec.count, spec[name.endIndex] == "=", isSecret(name) else { continue }
            let value = spec[(name.endIndex + 1)...].prefix { $0 != "&" }
            result.append(contentsOf: name)
            result.append(contentsOf: "=***".unicodeScalars)
            if offset >= value.endIndex {
                moved += 3 - value.count
            } else if offset > value.startIndex {
                moved -= offset - value.startIndex
            }
            index = value.endIndex
        }
        return (String(result), moved)
    }

    /// Also what is nearly such a word.
    static func isSecret(_ name: some Collection<Unicode.Scalar>) -> Bool {
        var text = ""
        text.unicodeScalars.append(contentsOf: name)
        if words.contains(text) { return true }
        return text.utf8.count > 4 && NearestWord.of(text, among: words) != nil
    }
}
