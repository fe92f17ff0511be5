/// Steps, told one a line as they are done: whether it went well, what, how long, and what is to be said of it.
struct Checklist: Sendable {
    let output: Output

    enum Mark {
        case good
        case bad
        case note
    }

    func heading(_ text: String) { output.say(output.style.heading(text)) }

    func step(_ mark: Mark, _ name: String, _ time: Duration? = nil, _ remark: String = "") {
        output.show(status: nil)
        let style = output.style
        let sign =
            switch mark {
            case .good: style.good("ok    ")
            case .bad: style.bad("FAILED")
            case .note: style.warning("note  ")
            }
        let duration = (time.map { Format.duration($0) } ?? "").leftPadded(to: 8)
        // What stands before the remark is as wide as this. A word that does not fit beside it, a long path, gets lines
        // of its own further to the left.
        var indent = 2 + 6 + 1 + 13 + 8 + 2
        let columns = output.isTerminal ? (SystemCalls.columns(1) ?? 80) - 1 : Int.max
        let text = HarmlessText.of(remark, keepsLines: true)
        var lines = Self.wrapped(text, width: max(20, columns - indent))
        if lines.contains(where: { $0.count > columns - indent }) {
            indent = 9
            lines = [""] + Self.wrapped(text, width: max(20, columns - indent))
        }
        output.say("  \(sign) \(name.padded(to: 13))\(duration)  \(lines.first ?? "")".trimmingEnd)
        for line in lines.dropFirst() { output.say(String(repeating: " ", count: indent) + line) }
    }

    func waiting(for what: String) { output.show(status: "         \(what) …") }

    /// Cut between words, what follows indented as its beginning; a word longer than the width stays whole.
    static func wrapped(_ text: String, width: Int) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { paragraph in
            guard paragraph.count > width else { return [String(paragraph)] }
            let margin = String(paragraph.prefix { $0 == " " })
            var lines: [String] = []
            var line = margin
            for word in paragraph.split(separator: " ") {
                if line.count > margin.count, line.count + 1 + word.count > width {
                    lines.append(line)
                    line = margin
                }
                line += line.count == margin.count ? String(word) : " \(word)"
            }
            return lines + [line]
        }
    }
}

extension String {
    fileprivate var trimmingEnd: String {
        var text = self[...]
        while text.hasSuffix(" ") { text.removeLast() }
        return String(text)
    }
}
