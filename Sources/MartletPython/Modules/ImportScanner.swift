/// What a Python source imports, read without running it: a guess at what is wanted next, no more.
enum ImportScanner {
    /// - Parameters:
    ///   - module: the source's own name, which relative imports begin at.
    /// - Returns: full names in the order in which they stand there, each once. Of `from a import b` both `a` and `a.b`, as
    ///   `b` may be a module or not.
    static func imports(in source: [UInt8], of module: String, isPackage: Bool) -> [String] {
        var package = module.split(separator: ".").map(String.init)
        if !isPackage { package = package.dropLast() }
        var tokens = Tokens(source)
        var found: [String] = []
        var seen: Set<String> = []
        func add(_ name: [String]) {
            let name = name.joined(separator: ".")
            if !name.isEmpty, seen.insert(name).inserted { found.append(name) }
        }
        var begins = true
        while let token = tokens.next() {
            switch token {
            case .name("import") where begins:
                repeat { add(tokens.dottedName()) } while tokens.skipAlias() && tokens.take(.comma)
                begins = false
            case .name("from") where begins:
                begins = false
                guard let base = tokens.base(in: package), tokens.take(.name("import")) else { break }
                add(base)
                _ = tokens.take(.open)
                repeat { add(base + tokens.dottedName()) } while tokens.skipAlias() && tokens.take(.comma)
            case .newline, .semicolon, .colon: begins = true
            default: begins = false
            }
        }
        return found
    }

    private enum Token: Equatable {
        case name(String)
        case dot, comma, open, close, semicolon, colon, newline, other
    }

    /// Just so much of Python's tokens that text in strings and comments is not taken for statements.
    private struct Tokens {
        private let source: [UInt8]
        private var position = 0
        private var depth = 0
        private var ahead: Token?

        init(_ source: [UInt8]) { self.source = source }

        mutating func next() -> Token? {
            if let ahead {
                self.ahead = nil
                return ahead
            }
            return scan()
        }

        mutating func take(_ token: Token) -> Bool {
            let next = next()
            if next == token { return true }
            ahead = next
            return false
        }

        mutating func dottedName() -> [String] {
            var name: [String] = []
            while case .name(let part) = next().map({ $0 }) ?? .other {
                name.append(part)
                guard take(.dot) else { return name }
            }
            return name
        }

        /// What stands between `from` and `import`; `nil` if it leads out of the outermost package.
        mutating func base(in package: [String]) -> [String]? {
            var level = 0
            while take(.dot) { level += 1 }
            let name: [String]
            if take(.name("import")) {
                ahead = .name("import")
                name = []
            } else {
                name = dottedName()
            }
            if level == 0 { return name }
            guard level - 1 < package.count else { return nil }
            return package.dropLast(level - 1) + name
        }

        /// - Returns: always `true`.
        mutating func skipAlias() -> Bool {
            if take(.name("as")) { _ = next() }
            return true
        }

        private func byte(_ offset: Int = 0) -> UInt8 {
            position + offset < source.count ? source[position + offset] : 0
        }

        private mutating func scan() -> Token? {
            while position < source.count {
                let first = byte()
                position += 1
                switch first {
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), 0x0C: continue
                case UInt8(ascii: "\\"):
                    if byte() == UInt8(ascii: "\r") { position += 1 }
                    position += 1
                case UInt8(ascii: "\n"):
                    if depth == 0 { return .newline }
                case UInt8(ascii: "#"):
                    while position < source.count, byte() != UInt8(ascii: "\n") { position += 1 }
                case UInt8(ascii: "'"), UInt8(ascii: "\""):
                    skipString(first)
                    return .other
                case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
                    depth += 1
                    return first == UInt8(ascii: "(") ? .open : .other
                case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                    depth = max(0, depth - 1)
                    return .close
                case UInt8(ascii: "."): return .dot
                case UInt8(ascii: ","): return .comma
                case UInt8(ascii: ";"): return .semicolon
                case UInt8(ascii: ":"): return depth == 0 ? .colon : .other
                case _ where Self.isName(first):
                    let start = position - 1
                    while position < source.count, Self.isName(byte()) { position += 1 }
                    return .name(String(decoding: source[start..<position], as: UTF8.self))
                default: return .other
                }
            }
            return nil
        }

        private static func isName(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
                true
            default: false
            }
        }

        /// Behind the first quote. A prefix has been taken for a name: a raw string's backslash still keeps a quote from
        /// ending it.
        private mutating func skipString(_ quote: UInt8) {
            let isLong = byte() == quote && byte(1) == quote
            if isLong {
                position += 2
            } else if byte() == quote {
                position += 1
                return
            }
            while position < source.count {
                let next = byte()
                position += 1
                switch next {
                case UInt8(ascii: "\\"): position += 1
                case UInt8(ascii: "\n") where !isLong: return
                case quote where !isLong: return
                case quote where byte() == quote && byte(1) == quote:
                    position += 2
                    return
                default: break
                }
            }
        }
    }
}
