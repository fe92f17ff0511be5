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

    /// A regular expression: `[Pp]assword.*: $`. `^` is the beginning of all that comes, `$` the end of what has
    /// come; neither is one of lines.
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

    /// Whether it is in bytes that are all there.
    func isFound(in bytes: [UInt8]) -> Bool {
        switch kind {
        case .text(let text): Self.find(text, in: bytes[...]) != nil
        case .expression(let expression):
            CompiledExpression.withText(bytes) { expression.first(in: $0, isStart: true) != nil }
        }
    }

    /// - Parameter isStart: nothing comes before the bytes.
    /// - Returns: how many finds there are, each behind the one before, and where the last ends. Nothing is no find.
    func finds(in bytes: [UInt8], isStart: Bool) -> (count: Int, end: Int) {
        var count = 0
        var end = 0
        switch kind {
        case .text(let text):
            while let found = Self.find(text, in: bytes[end...]) {
                count += 1
                end = found.upperBound
            }
        case .expression(let expression):
            CompiledExpression.withText(bytes) { text in
                while let found = expression.first(in: text + end, isStart: isStart && end == 0), found.upperBound > 0 {
                    count += 1
                    end += found.upperBound
                }
            }
        }
        return (count, end)
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

    /// Hands the bytes over as a text of C's, which ends with its first NUL.
    static func withText<R>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
        var text = bytes.map { $0 == 0 ? 1 : $0 }
        text.append(0)
        return text.withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }

    /// - Parameter isStart: `^` is here.
    func first(in text: UnsafePointer<CChar>, isStart: Bool) -> Range<Int>? {
        var match = regmatch_t()
        guard regexec(&compiled, text, 1, &match, isStart ? 0 : REG_NOTBOL) == 0 else { return nil }
        return Int(match.rm_so)..<Int(match.rm_eo)
    }
}
