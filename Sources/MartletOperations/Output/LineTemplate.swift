/// How a line is shown: text with fields in braces, such as `[{host}] {pipe}: {line}` and a line's end.
///
/// | field | is |
/// |---|---|
/// | `line` | the line, byte for byte as the command wrote it, without its end |
/// | `host` | the host as the settings name it; `local` for what runs here |
/// | `pipe` | `out`, `err`, `run` for the command itself; or ``Setting/pipeName(_:)`` |
/// | `command` | the command that wrote it |
/// | `year`, `month`, `day`, `hour`, `minute`, `second`, `ms` | the local time, with leading zeros; `ms` are milliseconds |
///
/// `{{` and `}}` are braces. Only what stands in the template ends a line.
public struct LineTemplate: Sendable, Hashable {
    enum Field: String, CaseIterable, Sendable {
        case line, host, pipe, command, year, month, day, hour, minute, second, ms

        var isTime: Bool {
            switch self {
            case .line, .host, .pipe, .command: false
            default: true
            }
        }
    }

    enum Segment: Hashable, Sendable {
        case text([UInt8])
        case field(Field)
    }

    /// What the fields stand for.
    struct Values {
        var host: String
        var pipe: String
        var command: String
        var line: [UInt8]
        var time: LocalTime?
    }

    private let segments: [Segment]
    /// Of the first `{line}`.
    private let lineIndex: Int
    let usesTime: Bool

    /// `[{host}] {pipe}: {line}` and a line's end.
    public static let standard = LineTemplate(
        segments: [
            .text(Array("[".utf8)), .field(.host), .text(Array("] ".utf8)), .field(.pipe), .text(Array(": ".utf8)),
            .field(.line), .text([0x0a]),
        ], lineIndex: 5)

    /// Reads a template.
    ///
    /// - Throws: ``OperationError`` `misuse` for a field that there is not, for a single brace, and if there is no `{line}`.
    public init(_ text: String) throws {
        let segments = try Self.parse(text)
        guard let index = segments.firstIndex(of: .field(.line)) else {
            throw OperationError(.misuse, "the line template \"\(text)\" has no {line}")
        }
        self.init(segments: segments, lineIndex: index)
    }

    private init(segments: [Segment], lineIndex: Int) {
        self.segments = segments
        self.lineIndex = lineIndex
        usesTime = segments.contains { if case .field(let field) = $0 { field.isTime } else { false } }
    }

    private static func parse(_ text: String) throws -> [Segment] {
        var segments: [Segment] = []
        var literal: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "}"):
                if rest.first == byte {
                    rest.removeFirst()
                    literal.append(byte)
                } else {
                    let name = rest.prefix { $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: "{") }
                    rest = rest.dropFirst(name.count)
                    guard byte == UInt8(ascii: "{"), rest.popFirst() == UInt8(ascii: "}") else {
                        throw OperationError(
                            .misuse, "the line template \"\(text)\" has a brace without its other half",
                            advice: "write {{ and }} for braces that are shown")
                    }
                    let field = try field(String(decoding: name, as: UTF8.self), in: text)
                    if !literal.isEmpty { segments.append(.text(literal)) }
                    literal = []
                    segments.append(.field(field))
                }
            default: literal.append(byte)
            }
        }
        if !literal.isEmpty { segments.append(.text(literal)) }
        return segments
    }

    private static func field(_ name: String, in text: String) throws -> Field {
        guard let field = Field(rawValue: name) else {
            throw OperationError(
                .misuse, "the line template \"\(text)\" has a field {\(name)}, which there is not",
                advice: "fields are " + Field.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", "))
        }
        return field
    }

    /// - Parameter showsPrefix: whether what stands before the line is there.
    func format(_ values: Values, showsPrefix: Bool = true) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(values.line.count + 64)
        for segment in showsPrefix ? segments[...] : segments[lineIndex...] {
            switch segment {
            case .text(let text): result += text
            case .field(.line): result += values.line
            case .field(.host): result += values.host.utf8
            case .field(.pipe): result += values.pipe.utf8
            case .field(.command): result += values.command.utf8
            case .field(let field): result += (values.time?[field] ?? "").utf8
            }
        }
        return result
    }
}
