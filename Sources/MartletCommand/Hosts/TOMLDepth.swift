/// How deep keys and values of a TOML text are in each other, by its dots and brackets alone.
///
/// A parser makes a table of each part of a dotted key, and follows them by recursion: what a few hundred kilobytes can
/// name has no room on any stack. So it is looked for before the parser sees the text.
struct TOMLDepth {
    private let text: [UInt8]
    private var index = 0
    private var line = 1
    /// How many parts the key has, or what stands where a key could.
    private var parts = 1
    /// The same of each that a bracket was opened behind.
    private var outer: [Int] = []
    private var outerParts = 0

    private init(_ text: [UInt8]) { self.text = text }

    /// The first line in which there is more than so much in each other; nil: there is none.
    static func line(deeperThan limit: Int, in text: [UInt8]) -> Int? {
        var depth = TOMLDepth(text)
        while depth.index < text.count {
            depth.step()
            if depth.outerParts + depth.parts > limit { return depth.line }
        }
        return nil
    }

    private mutating func step() {
        let byte = text[index]
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return skipString(byte)
        case UInt8(ascii: "#"): return index = text[index...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
        case UInt8(ascii: "."): parts += 1
        case UInt8(ascii: ","): parts = 1
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            outer.append(parts)
            outerParts += parts
            parts = 1
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
            outerParts -= outer.popLast() ?? 0
            parts = 1
        case UInt8(ascii: "\n"):
            line += 1
            parts = 1
        default: break
        }
        index += 1
    }

    private mutating func skipString(_ quote: UInt8) {
        // Three are the mark of a string of several lines, two are an empty string.
        let isLong = text[index...].prefix(3) == [quote, quote, quote]
        index += isLong ? 3 : 1
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "\\") where quote == UInt8(ascii: "\""):
                if index + 1 < text.count, text[index + 1] == UInt8(ascii: "\n") { line += 1 }
                index += 2
            case UInt8(ascii: "\n"):
                // One of one line that does not end there is for the parser to refuse.
                guard isLong else { return }
                line += 1
                index += 1
            case quote:
                // The end mark may have two more of them before it, which belong to the string.
                let quotes = text[index...].prefix(5).prefix { $0 == quote }.count
                if !isLong { index += 1 } else { index += quotes }
                if !isLong || quotes >= 3 { return }
            default: index += 1
            }
        }
    }
}
