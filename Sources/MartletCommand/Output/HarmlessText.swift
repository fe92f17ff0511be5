/// Text from far machines that does nothing to a terminal but show.
///
/// Control characters are shown as `^X`, those beyond ASCII and those that change the direction of writing by their
/// number; what is not UTF-8 becomes U+FFFD.
enum HarmlessText {
    static func of(_ bytes: some Collection<UInt8>) -> String { of(String(decoding: bytes, as: UTF8.self)) }

    /// - Parameter keepsLines: whether the ends of lines are let through.
    static func of(_ text: String, keepsLines: Bool = false) -> String {
        guard !text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f || $0 == 0x09 }) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09: result.append(scalar)
            case 0x0a where keepsLines: result.append(scalar)
            case 0..<0x20, 0x7f:
                result.append("^")
                result.append(Unicode.Scalar(UInt8(scalar.value) ^ 0x40))
            case 0x80..<0xa0, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069:
                result.append(contentsOf: "<U+\(String(scalar.value, radix: 16, uppercase: true))>".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
