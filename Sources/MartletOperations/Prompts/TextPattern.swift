#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What is looked for in a command, or in what a command writes: a text, or a POSIX extended regular expression, as
/// `grep -E` has them. Both know bytes; letters beyond ASCII are themselves.
public struct TextPattern: Sendable, Hashable, ExpressibleByStringLiteral {
    enum Kind: Hashable, Sendable {
        case text([UInt8])
        case expression(String)
    }

    let kind: Kind

    /// A text, as it stands.
    public static func text(_ text: String) -> TextPattern { TextPattern(kind: .text(Array(text.utf8))) }

    /// A regular expression: `[Pp]assword.*: $`. `^` and `$` are the ends of what is looked at, not of lines.
    ///
    /// - Throws: ``OperationError`` `misuse` at once if it is none.
    public static func expression(_ expression: String) throws -> TextPattern {
        _ = try CompiledExpression(expression)
        return TextPattern(kind: .expression(expression))
    }

    /// Without a look at whether an expression is one.
    init(kind: Kind) { self.kind = kind }

    /// A text, as it stands.
    public init(stringLiteral text: String) { self = .text(text) }
}

/// A pattern that is ready to be looked for, by one task.
struct Search {
    private enum Kind {
        case text([UInt8])
        case expression(CompiledExpression)
    }

    private let kind: Kind

    init(_ pattern: TextPattern) throws {
        switch pattern.kind {
        case .text(let text): kind = .text(text)
        case .expression(let expression): kind = .expression(try CompiledExpression(expression))
        }
    }

    /// How many bytes before new ones may belong to a find that ends in these; `nil`: one cannot say.
    var reach: Int? { if case .text(let text) = kind { max(0, text.count - 1) } else { nil } }

    /// - Returns: where the first find is.
    func first(in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        switch kind {
        case .text(let text): Self.find(text, in: bytes)
        case .expression(let expression): expression.first(in: bytes)
        }
    }

    private static func find(_ text: [UInt8], in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        guard let first = text.first else { return nil }
        return bytes.withUnsafeBytes { bytes -> Range<Int>? in
            text.withUnsafeBytes { text -> Range<Int>? in
                var start = 0
                while bytes.count - start >= text.count,
                    let found = memchr(bytes.baseAddress! + start, Int32(first), bytes.count - start - text.count + 1)
                {
                    start = UnsafeRawPointer(found) - bytes.baseAddress!
                    if memcmp(found, text.baseAddress!, text.count) == 0 { return start..<start + text.count }
                    start += 1
                }
                return nil
            }
        }.map { $0.lowerBound + bytes.startIndex..<$0.upperBound + bytes.startIndex }
    }
}

/// A regular expression of the C library's.
///
/// Unchecked, as it does not change once it is made, and POSIX lets any thread look with it.
final class CompiledExpression: @unchecked Sendable {
    private var compiled = regex_t()

    init(_ expression: String) throws {
        let error = regcomp(&compiled, expression, REG_EXTENDED)
        guard error == 0 else {
            var text = [CChar](repeating: 0, count: 200)
            regerror(error, &compiled, &text, text.count)
            throw OperationError(
                .misuse,
                "\"\(expression)\" is no regular expression: "
                    + String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self),
                advice: "it is written as for grep -E")
        }
    }

    deinit { regfree(&compiled) }

    func first(in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        // C's text ends with its first NUL.
        var text = bytes.map { $0 == 0 ? 1 : $0 }
        text.append(0)
        var match = regmatch_t()
        let found = text.withUnsafeBytes {
            regexec(&compiled, $0.baseAddress!.assumingMemoryBound(to: CChar.self), 1, &match, 0) == 0
        }
        guard found else { return nil }
        return bytes.startIndex + Int(match.rm_so)..<bytes.startIndex + Int(match.rm_eo)
    }
}
