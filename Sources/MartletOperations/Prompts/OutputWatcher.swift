public import Martlet

/// Reads what a command writes, while it runs, and may answer. Each command has a copy of its own of each watcher, which
/// begins anew.
public protocol OutputWatcher: Sendable {
    /// - Parameters:
    ///   - bytes: as they came: a line may come in several pieces, and several lines in one.
    ///   - pipe: where the command wrote them. With a terminal it is ``OutputLine/Pipe/output``.
    /// - Returns: what is written to the command's input; empty: nothing.
    /// - Throws: ends the command, and is thrown by the operation.
    mutating func receive(_ bytes: [UInt8], from pipe: OutputLine.Pipe) throws -> [UInt8]
}

/// Answers each time a pattern is found in what a command writes: `Responder("[y/n] ", "y\n")`.
public struct Responder: OutputWatcher {
    let pattern: TextPattern
    private let response: Secret
    private var scanners: [OutputLine.Pipe: PatternScanner] = [:]

    /// - Parameter response: with a line's end if the command waits for one.
    public init(_ pattern: TextPattern, _ response: String) { self.init(pattern, Secret(response)) }

    /// - Parameter response: with a line's end if the command waits for one.
    public init(_ pattern: TextPattern, _ response: Secret) { (self.pattern, self.response) = (pattern, response) }

    /// The answer, once for each find.
    public mutating func receive(_ bytes: [UInt8], from pipe: OutputLine.Pipe) throws -> [UInt8] {
        let count = try scanners.receive(bytes, from: pipe, pattern)
        return response.withBytes { response in (0..<count).flatMap { _ in response } }
    }
}

/// Answers as ``Responder`` does, and ends the command if the answer was not accepted.
public struct FailingResponder: OutputWatcher {
    private var responder: Responder
    private let sentinel: TextPattern
    private var scanners: [OutputLine.Pipe: PatternScanner] = [:]
    private var hasAnswered = false

    /// - Parameter sentinel: what the command writes when it does not accept the answer: `Sorry, try again`.
    public init(_ pattern: TextPattern, _ response: Secret, sentinel: TextPattern) {
        (responder, self.sentinel) = (Responder(pattern, response), sentinel)
    }

    /// - Parameter sentinel: what the command writes when it does not accept the answer: `Sorry, try again`.
    public init(_ pattern: TextPattern, _ response: String, sentinel: TextPattern) {
        self.init(pattern, Secret(response), sentinel: sentinel)
    }

    /// The answer.
    ///
    /// - Throws: ``OperationError`` `responseRefused`.
    public mutating func receive(_ bytes: [UInt8], from pipe: OutputLine.Pipe) throws -> [UInt8] {
        // It is refused after it was given, and before the same is asked again.
        if try scanners.receive(bytes, from: pipe, sentinel) > 0, hasAnswered {
            throw OperationError(.responseRefused, "the answer to \(responder.pattern) was not accepted")
        }
        let answer = try responder.receive(bytes, from: pipe)
        hasAnswered = hasAnswered || !answer.isEmpty
        return answer
    }
}

/// Ends a command that asks somebody, where nobody is to be asked.
struct PromptGuard: OutputWatcher {
    /// At the end of what has come, as whoever asks waits there.
    private static let question = TextPattern(
        kind: .expression(
            "([Pp]ass(word|phrase|code)[^\r\n]*[:?>]|(\\[[Yy]/[Nn]\\]|\\([Yy]es/[Nn]o[^\r\n]*\\)|\\([Yy]/[Nn]\\)) *[:?>]?) *$"
        ))
    private var scanners: [OutputLine.Pipe: PatternScanner] = [:]

    mutating func receive(_ bytes: [UInt8], from pipe: OutputLine.Pipe) throws -> [UInt8] {
        guard try scanners.receive(bytes, from: pipe, Self.question) > 0 else { return [] }
        let line = String(decoding: bytes.split { $0 == 0x0a || $0 == 0x0d }.last ?? [], as: UTF8.self)
        throw OperationError(
            .promptAborted, "the command asks: \(line.quotedForPeople)",
            advice: "have it not ask, or answer by .watch(Responder(…))")
    }
}

extension TextPattern: CustomStringConvertible {
    /// For people.
    public var description: String {
        switch kind {
        case .text(let text): String(decoding: text, as: UTF8.self).quotedForPeople
        case .expression(let expression): expression.quotedForPeople
        }
    }
}

extension [OutputLine.Pipe: PatternScanner] {
    fileprivate mutating func receive(
        _ bytes: [UInt8], from pipe: OutputLine.Pipe, _ pattern: TextPattern
    ) throws -> Int {
        var scanner = try self[pipe] ?? PatternScanner(pattern)
        defer { self[pipe] = scanner }
        return scanner.receive(bytes)
    }
}
