/// An argument, a value or a name in a spec: what it says, and where.
struct SpecToken: Sendable {
    /// Decoded.
    var text = ""
    /// As it is written.
    var range: Range<Int>
    /// Where each scalar of the text is written.
    var offsets: [Int] = []
    /// It is a path, in which a `/` is just that; the last one.
    var lastSlash: Int?
    var isPath = false

    /// Where a part of the text is written, counted in scalars.
    func range(of part: Range<Int>) -> Range<Int> {
        let start = part.lowerBound < offsets.count ? offsets[part.lowerBound] : range.upperBound
        let end = part.upperBound < offsets.count ? offsets[part.upperBound] : range.upperBound
        return start..<max(start, end)
    }
}

/// Cuts a spec into hops, arguments and options; what they are is no matter here.
///
///     route  := hop *("/" hop)
///     hop    := word [":" text] ["?" option *("&" option)] | plain word, the first only
///     option := word ["=" text]
///
/// In a text, `%` and two hexadecimal digits are a byte of UTF-8; any other `%` is itself. A text that begins with `/`, `~`
/// or `.`, or has one of these behind a `=`, is a *path* from there on: a `/` in it ends it only where a word and a colon
/// follow. In any other text a `/` ends the hop. That holds whatever kinds there are. In a value, where a question mark
/// means nothing else, a kind and a question mark do as well.
struct SpecParser {
    struct Hop {
        /// `nil`: a plain word, which is the argument.
        var kind: SpecToken?
        var argument: SpecToken?
        var options: [Option] = []
    }

    struct Option {
        var name: SpecToken
        var value: SpecToken?
    }

    static let maximumLength = 8192
    /// More than the tree of contexts is deep.
    static let maximumHops = 31

    private enum Mode {
        case plain
        case argument
        case value
    }

    private let spec: [Unicode.Scalar]
    private let isKind: (String) -> Bool
    private var position = 0

    private init(_ spec: [Unicode.Scalar], _ isKind: @escaping (String) -> Bool) {
        self.spec = spec
        self.isKind = isKind
    }

    /// - Parameter isKind: whether a word is the name of a way in, where it could be something else.
    static func hops(_ spec: [Unicode.Scalar], isKind: @escaping (String) -> Bool) throws(SpecError) -> [Hop] {
        guard spec.count <= maximumLength else {
            let limit = maximumLength
            throw SpecError(.tooLong, "a spec has at most \(limit) characters", in: spec, at: limit..<spec.count)
        }
        for (index, scalar) in spec.enumerated() where SpecCharacters.isControl(scalar) {
            let code = String(scalar.value, radix: 16, uppercase: true)
            throw SpecError(
                .strayCharacter, "a control character stands in the spec", in: spec, at: index..<index + 1,
                advice: scalar == "\0" ? nil : "write it as %\(code.utf8.count < 2 ? "0" : "")\(code), if it is meant")
        }
        var parser = SpecParser(spec, isKind)
        return try parser.hops()
    }

    private var next: Unicode.Scalar? { position < spec.count ? spec[position] : nil }

    private mutating func hops() throws(SpecError) -> [Hop] {
        var hops: [Hop] = []
        while true {
            guard hops.count < Self.maximumHops else {
                throw SpecError(
                    .tooLong, "a route has at most \(Self.maximumHops) hops", in: spec, at: position..<spec.count)
            }
            hops.append(try hop(isFirst: hops.isEmpty))
            guard next == "/" else { return hops }
            position += 1
        }
    }

    private mutating func hop(isFirst: Bool) throws(SpecError) -> Hop {
        let start = position
        let kind = word { $0 == ":" || $0 == "?" || $0 == "/" || $0 == "&" }
        guard !kind.range.isEmpty || (isFirst && next == ":") else { throw nothing("a hop", start) }
        var hop = Hop()
        if !isFirst || isKind(kind.text) {
            hop.kind = kind
            if next == ":" {
                position += 1
                let argument = try text(.argument)
                if !argument.range.isEmpty { hop.argument = argument }
            }
        } else {
            position = start
            hop.argument = try text(.plain)
        }
        if next == "&" {
            throw SpecError(
                .strayCharacter, "options begin with a question mark", in: spec, at: position..<position + 1,
                advice: "write ? before the first option, & before each further one, and %26 for the character itself")
        }
        if next == "?" {
            repeat {
                position += 1
                hop.options.append(try option())
            } while next == "&"
        }
        return hop
    }

    private mutating func option() throws(SpecError) -> Option {
        let start = position
        let name = word { $0 == "=" || $0 == "&" || $0 == "/" || $0 == "?" }
        guard !name.range.isEmpty else { throw nothing("an option", start) }
        var option = Option(name: name)
        if next == "=" {
            position += 1
            option.value = try text(.value)
        }
        if next == "?" {
            throw SpecError(
                .strayCharacter, "a question mark stands among the options", in: spec, at: position..<position + 1,
                advice: "write & before each further option, and %3F for the character itself")
        }
        return option
    }

    private func nothing(_ what: String, _ start: Int) -> SpecError {
        if spec.isEmpty { return SpecError(.empty, "the spec is empty", in: spec, at: 0..<0) }
        return SpecError(.empty, "\(what) is missing here", in: spec, at: start..<start + 1)
    }

    /// What stands before such a character, as it is.
    private mutating func word(until isEnd: (Unicode.Scalar) -> Bool) -> SpecToken {
        let start = position
        while let scalar = next, !isEnd(scalar) { position += 1 }
        var token = SpecToken(range: start..<position)
        token.text.unicodeScalars.append(contentsOf: spec[start..<position])
        return token
    }

    private mutating func text(_ mode: Mode) throws(SpecError) -> SpecToken {
        let start = position
        var token = SpecToken(range: start..<start)
        var text = String.UnicodeScalarView()
        var mayBeginPath = mode != .plain
        loop: while let scalar = next {
            switch scalar {
            case "?", "&":
                break loop
            case "/":
                guard mode != .plain, mayBeginPath || token.isPath, !hopBegins(behind: position, mode) else {
                    break loop
                }
                token.isPath = true
                token.lastSlash = position
            case "~" where mayBeginPath, "." where mayBeginPath:
                token.isPath = true
            default:
                break
            }
            mayBeginPath = scalar == "=" && mode != .plain
            if scalar == "%", let bytes = encodedBytes() {
                try decode(bytes, into: &text, &token.offsets)
            } else {
                text.append(scalar)
                token.offsets.append(position)
                position += 1
            }
        }
        token.text = String(text)
        token.range = start..<position
        return token
    }

    private func hopBegins(behind slash: Int, _ mode: Mode) -> Bool {
        let word = spec[(slash + 1)...].prefix(while: SpecCharacters.isWordPart)
        guard SpecCharacters.isWord(word), word.endIndex < spec.count else { return false }
        if mode == .value, spec[word.endIndex] == "?" {
            var text = ""
            text.unicodeScalars.append(contentsOf: word)
            return isKind(text)
        }
        return spec[word.endIndex] == ":"
    }

    /// The bytes that are written from here on as `%` and two digits; `nil`: none.
    private func encodedBytes() -> [UInt8]? {
        var bytes: [UInt8] = []
        var index = position
        while index + 2 < spec.count, spec[index] == "%", let high = SpecCharacters.hexValue(spec[index + 1]),
            let low = SpecCharacters.hexValue(spec[index + 2])
        {
            bytes.append(high << 4 | low)
            index += 3
        }
        return bytes.isEmpty ? nil : bytes
    }

    private mutating func decode(
        _ bytes: [UInt8], into text: inout String.UnicodeScalarView, _ offsets: inout [Int]
    ) throws(SpecError) {
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw SpecError(
                .badEncoding, "these bytes are not UTF-8", in: spec, at: position..<position + 3 * bytes.count,
                advice: "write %25 for a percent sign")
        }
        for scalar in decoded.unicodeScalars {
            guard scalar != "\0" else {
                throw SpecError(
                    .badEncoding, "nothing can hold a zero byte", in: spec, at: position..<position + 3,
                    advice: "write %25 for a percent sign")
            }
            text.append(scalar)
            offsets.append(position)
            position += 3 * UTF8.width(scalar)
        }
    }
}
