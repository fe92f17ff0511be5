/// What a program in front of a context says before the context is there: lines, and questions. Pure: what came goes in,
/// with how long nothing has come since; what to do comes out.
///
///     listening ──question──▶ asking ──answer──▶ listening;   any ──the shell has reported──▶ over
///
/// A question is what stands on a line of its own without an end while nothing more comes: at once where it carries the
/// mark that the program was told to use, soon where the terminal hides what is typed or it ends as questions do, later
/// otherwise. Where there is no terminal, only what holds the mark is one for sure.
struct PromptDialogue {
    enum Step: Equatable {
        case nothing
        /// Look again after so many nanoseconds, should nothing come meanwhile.
        case wait(UInt64)
        case ask(text: String, lines: [String], isMarked: Bool)
        /// The same was asked, and answered, before.
        case rejected(text: String)
        /// It asks without end.
        case tooMany
    }

    static let hiddenPause: UInt64 = 20_000_000
    static let questionPause: UInt64 = 150_000_000
    static let longPause: UInt64 = 2_000_000_000
    static let promptLimit = 16
    static let lineLimit = 20
    static let longestText = 500
    static let longestLine = 200

    /// Something that only the program's own question holds.
    let mark: String?
    /// Whether somebody may answer what does not hold it.
    let hasResponder: Bool
    private var lines: [String] = []
    private var asked: Set<String> = []
    private var isAsking = false
    private(set) var isOver = false

    init(mark: String?, hasResponder: Bool = false) { (self.mark, self.hasResponder) = (mark, hasResponder) }

    /// Whether a question was answered.
    var hasAnswered: Bool { !asked.isEmpty }

    mutating func line(_ line: String) {
        guard !isOver else { return }
        lines.append(Self.visible(line, Self.longestLine))
        if lines.count > Self.lineLimit { lines.removeFirst() }
    }

    /// - Parameters:
    ///   - pending: what stands behind the last line's end.
    ///   - quiet: for how many nanoseconds nothing has come.
    ///   - isHidden: whether the terminal hides what is typed; `nil`: there is no terminal.
    mutating func look(_ pending: String, quiet: UInt64, isHidden: Bool?) -> Step {
        let text = pending.trimmingBlanks()
        guard !isOver, !isAsking, !text.isEmpty else { return .nothing }
        let isMarked = mark.map { text.mentions($0) } ?? false
        guard isMarked || isHidden != nil || mayBeQuestion(text) else { return .nothing }
        let pause =
            isMarked
            ? 0 : isHidden == true ? Self.hiddenPause : Self.isQuestion(text) ? Self.questionPause : Self.longPause
        guard quiet >= pause else { return .wait(pause - quiet) }
        let shown = Self.visible(mark.map { text.removing($0) } ?? text, Self.longestText)
        guard asked.insert(text).inserted else { return .rejected(text: shown) }
        guard asked.count <= Self.promptLimit else { return .tooMany }
        isAsking = true
        defer { lines = [] }
        return .ask(text: shown, lines: lines, isMarked: isMarked)
    }

    mutating func answered() { isAsking = false }

    /// On pipes a login shell writes where the program asks, and reads what is typed there: what was answered once is not
    /// answered for it.
    private func mayBeQuestion(_ text: String) -> Bool {
        if asked.contains(text) { return true }
        guard mark != nil else { return asked.isEmpty }
        return asked.isEmpty ? hasResponder || Prompt.Kind.guess(text) == .password : hasResponder
    }

    /// A shell runs what we sent: what comes now is no question of the program in front.
    mutating func end() {
        isOver = true
        lines = []
    }

    private static func isQuestion(_ text: String) -> Bool {
        [":", "?", ">", "]", "：", "？"].contains { text.utf8.reversed().starts(with: $0.utf8.reversed()) }
    }

    static func visible(_ text: String, _ limit: Int) -> String {
        String(ConnectDiagnosis.visible(text).prefix(limit))
    }
}

extension String {
    /// Without blanks at either end.
    func trimmingBlanks() -> String {
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        var part = utf8[...]
        while let first = part.first, isBlank(first) { part.removeFirst() }
        while let last = part.last, isBlank(last) { part.removeLast() }
        return String(Substring(part))
    }

    /// Without the first occurrence of `mark`.
    fileprivate func removing(_ mark: String) -> String {
        var rest = utf8[...]
        while !rest.isEmpty, !rest.starts(with: mark.utf8) { rest.removeFirst() }
        guard !rest.isEmpty else { return self }
        return (String(Substring(utf8[..<rest.startIndex])) + String(Substring(rest.dropFirst(mark.utf8.count))))
            .trimmingBlanks()
    }

    /// With the letters of ASCII in lower case.
    fileprivate var asciiLowercased: String {
        String(decoding: utf8.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }
}

extension Prompt.Kind {
    /// What a question asks for, by the words that programs use.
    static func guess(_ text: String) -> Prompt.Kind {
        let text = text.asciiLowercased
        if text.mentions("passphrase") { return .passphrase }
        if text.mentions("continue connecting") || text.mentions("fingerprint") { return .hostKey }
        if ["code", "one-time", "otp", "token"].contains(where: text.mentions) { return .oneTimeCode }
        return text.mentions("password") ? .password : .other
    }
}
