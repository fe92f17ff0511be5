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
}

extension SpecReader.Text {
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
