/// What is wrong with a spec, and at which character.
///
///     ssh has no option "identiy"
///       ssh:web1?identiy=~/.ssh/key
///                ^^^^^^^ did you mean "identity"?
public struct SpecError: Error, Hashable, Sendable {
    /// What kind of mistake it is: stable, for programs.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The name that programs see.
        public var rawValue: String
        /// A code by its name.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// The name.
        public var description: String { rawValue }

        /// There is nothing in the spec, between two slashes, or where an option should stand.
        public static let empty = Code(rawValue: "empty")
        /// The spec has too many characters or hops.
        public static let tooLong = Code(rawValue: "tooLong")
        /// A character that means something stands where it means nothing, or one that cannot be in a spec at all.
        public static let strayCharacter = Code(rawValue: "strayCharacter")
        /// What is written with `%` is not UTF-8, or is a zero.
        public static let badEncoding = Code(rawValue: "badEncoding")
        /// There is no such way in.
        public static let unknownKind = Code(rawValue: "unknownKind")
        /// This way in has no such option.
        public static let unknownOption = Code(rawValue: "unknownOption")
        /// An option that can be given once is there twice.
        public static let duplicateOption = Code(rawValue: "duplicateOption")
        /// A password or the like: it never stands in a spec.
        public static let secret = Code(rawValue: "secret")
        /// What stands behind the colon is missing, not wanted, or not what it should be.
        public static let badArgument = Code(rawValue: "badArgument")
        /// An option's value is missing, not wanted, or not what it should be.
        public static let badValue = Code(rawValue: "badValue")
        /// The end of a path may as well be the next hop.
        public static let ambiguous = Code(rawValue: "ambiguous")
        /// No spec says what this connector is.
        public static let inexpressible = Code(rawValue: "inexpressible")
    }

    /// What kind of mistake it is.
    public var code: Code
    /// The spec as it was given, but for secrets.
    public var spec: String
    /// The first wrong character, counted in Unicode scalars from 0; as many as there are: something is missing at the end.
    public var offset: Int
    /// How many characters are wrong; at least 1.
    public var length: Int
    /// What is wrong, in one sentence without a full stop.
    public var message: String
    /// The known word that is nearest to the wrong one, if one is near.
    public var suggestion: String?
    /// What to write instead.
    public var advice: String?

    package init(
        _ code: Code, _ message: String, in spec: [Unicode.Scalar], at range: Range<Int>, suggestion: String? = nil,
        advice: String? = nil
    ) {
        self.code = code
        self.message = SpecError.harmless(message)
        self.suggestion = suggestion
        self.advice = advice
        (self.spec, offset) = SpecSecrets.masked(spec, range.lowerBound)
        length = max(1, range.count)
    }
}

extension SpecError: CustomStringConvertible {
    /// What is wrong, then the spec with the place marked, then what to write.
    public var description: String {
        var text = "\(message)\n  \(rendering.text)\n  \(rendering.marks)"
        if let advice { text += "\n  try: \(advice)" }
        return text
    }

    /// The spec, cut to what is near if it is long, and below it carets under what is wrong, with the suggestion.
    public var rendering: (text: String, marks: String) {
        let scalars = Array(spec.unicodeScalars)
        let start = min(max(0, offset), scalars.count)
        let end = min(start + max(1, length), scalars.count)
        let from = max(0, start - 60)
        let to = min(scalars.count, max(end, from + 100), start + 100)
        var text = from > 0 ? "…" : ""
        var indent = from > 0 ? 1 : 0
        var carets = 0
        for index in from..<max(from, to) {
            let (shown, width) = Self.shown(scalars[index])
            text += shown
            if index < start { indent += width } else if index < end { carets += width }
        }
        if to < scalars.count { text += "…" }
        var marks = String(repeating: " ", count: indent) + String(repeating: "^", count: max(1, carets))
        if let suggestion { marks += " did you mean \"\(suggestion)\"?" }
        return (text, marks)
    }

    /// Text as it does no harm to a terminal.
    static func harmless(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars { result += shown(scalar).text }
        return result
    }

    /// A scalar as it is shown, and how many columns it takes.
    private static func shown(_ scalar: Unicode.Scalar) -> (text: String, width: Int) {
        switch scalar.value {
        case 0x20..<0x7f: (String(scalar), 1)
        case 0..<0x20, 0x7f: ("^" + String(Unicode.Scalar(UInt8(scalar.value) ^ 0x40)), 2)
        case _ where SpecCharacters.isInvisible(scalar):
            { ($0, $0.utf8.count) }("<U+\(String(scalar.value, radix: 16, uppercase: true))>")
        // Marks that stand on the letter before them, then what East Asian fonts draw twice as wide.
        case 0x300..<0x370, 0x1ab0..<0x1b00, 0x20d0..<0x2100, 0xfe00..<0xfe10, 0xfe20..<0xfe30: (String(scalar), 0)
        case 0x1100..<0x1160, 0x2e80..<0xa4d0, 0xac00..<0xd7a4, 0xf900..<0xfb00, 0xfe30..<0xfe70, 0xff00..<0xff61,
            0x1f300..<0x1f650, 0x1f900..<0x1fa00, 0x20000..<0x3fffe:
            (String(scalar), 2)
        default: (String(scalar), 1)
        }
    }
}
