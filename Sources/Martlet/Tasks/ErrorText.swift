/// What errors say, in a size that fits into a message.
enum ErrorText {
    /// In bytes of UTF-8.
    static let limit = 16 * 1024

    /// An error in words, without the values in it: an `EncodingError` shows what did not encode, however large it is.
    static func of(_ error: any Error) -> String {
        guard case EncodingError.invalidValue(_, let context) = error else { return short("\(error)") }
        var text = context.debugDescription
        if !context.codingPath.isEmpty {
            text += " (at \(context.codingPath.map(\.stringValue).joined(separator: ".")))"
        }
        if let underlying = context.underlyingError { text += ": \(of(underlying))" }
        return short(text)
    }

    private static func short(_ text: String) -> String {
        guard text.utf8.count > limit else { return text }
        return String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "…"
    }
}
