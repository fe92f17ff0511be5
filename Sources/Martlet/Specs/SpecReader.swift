/// A hop as it was written, for whom makes a connector of it.
public struct SpecReader: Sendable {
    /// An argument or a value.
    public struct Text: Sendable {
        /// Decoded.
        public let text: String
        let token: SpecToken
        let spec: [Unicode.Scalar]

        /// The error that says what is wrong with it.
        ///
        /// - Parameters:
        ///   - part: which of its scalars are wrong. Default: all.
        ///   - advice: what to write instead.
        public func error(_ message: String, at part: Range<Int>? = nil, advice: String? = nil) -> SpecError {
            error(.badValue, message, at: part, advice: advice)
        }

        func error(
            _ code: SpecError.Code, _ message: String, at part: Range<Int>? = nil, suggestion: String? = nil,
            advice: String? = nil
        ) -> SpecError {
            SpecError(
                code, message, in: spec, at: part.map(token.range(of:)) ?? token.range, suggestion: suggestion,
                advice: advice)
        }
    }

    /// What stands behind the colon.
    public let argument: Text?
    let options: [(name: String, value: Text?)]

    /// The value of an option; of one that is there more than once, the first.
    public subscript(_ name: String) -> Text? { options.first { $0.name == name }?.value }

    /// All values of an option, in their order.
    public func all(_ name: String) -> [Text] { options.compactMap { $0.name == name ? $0.value : nil } }

    /// Whether an option is there.
    public func has(_ name: String) -> Bool { options.contains { $0.name == name } }

    /// The value of an option that is a number.
    public func number(_ name: String) -> Int? { self[name].flatMap { Int($0.text) } }

    /// The values of an option that is `NAME=value`, by their names.
    public func assignments(_ name: String) -> [String: String] {
        var result: [String: String] = [:]
        for entry in all(name) {
            let equals = entry.text.firstIndex(of: "=") ?? entry.text.endIndex
            result[String(entry.text[..<equals])] = String(entry.text[equals...].dropFirst())
        }
        return result
    }
}

/// What stands behind the colon.
extension SpecReader {
    /// That of a kind which has one.
    package var place: Text {
        guard let argument else { preconditionFailure("this kind has an argument") }
        return argument
    }

    /// A name.
    func name(_ what: String) throws(SpecError) -> String {
        try place.checkName(what)
        return place.text
    }

    /// A name, or nothing.
    func optionalName(_ what: String) throws(SpecError) -> String? {
        try argument?.checkName(what)
        return argument?.text
    }

    /// `[user@]name`.
    func userAndName(_ what: String) throws(SpecError) -> (String?, String) {
        let text = try name(what)
        guard let at = text.firstIndex(of: "@") else { return (nil, text) }
        let (user, name) = (text[..<at], text[text.index(after: at)...])
        // An image may be named by its digest: name@sha256:…
        if name.hasPrefix("sha256:") { return (nil, text) }
        guard !user.isEmpty, !name.isEmpty, !name.hasPrefix("-") else {
            throw place.error("this is not the name of a \(what)")
        }
        return (String(user), String(name))
    }
}

extension SpecReader.Text {
    /// - Throws: unless it can be the name of a user, a container and the like.
    func checkName(_ what: String) throws(SpecError) {
        guard PlainName.admits(text, blanks: false) else { throw error("this is not the name of a \(what)") }
    }

    /// - Throws: unless it is what the option wants.
    func check(_ type: ConnectorKind.ValueType, _ option: String) throws(SpecError) {
        guard !text.isEmpty else {
            throw SpecError(
                .badValue, "\"\(option)\" has no value", in: spec,
                at: token.range.lowerBound..<token.range.lowerBound + 1)
        }
        switch type {
        case .flag, .text, .path, .program:
            break
        case .number(let range):
            guard let number = Int(text), range.contains(number) else {
                throw error("\"\(option)\" is a number from \(range.lowerBound) to \(range.upperBound)")
            }
        case .choice(let words):
            guard !words.contains(text) else { break }
            throw error(
                .badValue, "\"\(option)\" is one of \(words.joined(separator: ", "))",
                suggestion: NearestWord.of(text, among: words))
        case .assignment:
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw error("\"\(option)\" wants NAME=value")
            }
        }
    }
}
