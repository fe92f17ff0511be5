import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The hosts that an `ssh_config` names: what stands behind `Host` without wildcards. How they are reached stays ssh's business.
public struct SSHConfiguration: Sendable, Hashable {
    /// Their names, in the order in which they stand there, each once.
    public let hosts: [String]

    /// Files that include each other deeper than this are not read, as ssh does.
    static let depthLimit = 16
    /// A larger file is none.
    static let sizeLimit = 4 << 20

    /// Reads a file and what it includes. A file that is not there, or may not be read, has no hosts.
    ///
    /// - Parameter path: default: `~/.ssh/config`.
    public init(path: String? = nil) {
        let home = getenv("HOME").map { String(cString: $0) } ?? ""
        let path = path.map { $0.hasPrefix("~/") ? home + $0.dropFirst() : $0 } ?? "\(home)/.ssh/config"
        var reader = Reader(home: home)
        reader.read(path, depth: 0)
        hosts = NodeSet(reader.hosts).names
    }

    /// The hosts that a text names; what it includes is asked for.
    init(text: String, include: (String) -> [String] = { _ in [] }) {
        var hosts: [String] = []
        Self.lines(text) { key, words in
            if key == "host" { hosts += words.filter(Self.isHost) }
            if key == "include" {
                for text in words.flatMap(include) { hosts += SSHConfiguration(text: text, include: include).hosts }
            }
        }
        self.hosts = NodeSet(hosts).names
    }

    /// An inventory in which they are one group; without those whose names no spec can say.
    public func inventory(group: String = "ssh") -> Inventory {
        let names = hosts.filter { name in
            !name.contains { "[],!&^@? \t".contains($0) } && (try? RouteSpec("ssh:\(name)")) != nil
        }
        return Inventory(
            groups: [group: .init(hosts: names)],
            hosts: Dictionary(uniqueKeysWithValues: names.map { ($0, .init(spec: "ssh:\($0)")) }))
    }

    private static func isHost(_ word: String) -> Bool {
        !word.isEmpty && !word.contains { "*?!".contains($0) }
    }

    /// A keyword in lower case, and the words behind it.
    private static func lines(_ text: String, _ body: (String, [String]) -> Void) {
        for line in text.split(whereSeparator: { $0.isNewline }) {
            var words = words(line)
            guard let key = words.first, !key.isEmpty, key.first != "#" else { continue }
            words.removeFirst()
            if words.first == "=" { words.removeFirst() }
            body(key.lowercased(), words)
        }
    }

    /// Split at blanks, and at a `=` behind the first; quotes keep together, `#` begins a comment.
    private static func words(_ line: Substring) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for character in line {
            if character == "\"" {
                isQuoted.toggle()
                word = word ?? ""
            } else if isQuoted {
                word?.append(character)
            } else if character.isWhitespace || (character == "=" && words.isEmpty) {
                if let done = word { words.append(done) }
                word = nil
            } else if character == "#", word == nil {
                break
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        if words.count > 1, words[1].hasPrefix("="), !line.contains("\"") { words[1].removeFirst() }
        return words.filter { !$0.isEmpty }
    }

    private struct Reader {
        let home: String
        var hosts: [String] = []
        var fileCount = 0

        mutating func read(_ path: String, depth: Int) {
            fileCount += 1
            guard depth <= SSHConfiguration.depthLimit, fileCount <= 1_000, let text = Self.text(path) else { return }
            var found: [(isHost: Bool, words: [String])] = []
            SSHConfiguration.lines(text) { key, words in
                if key == "host" { found.append((true, words)) }
                if key == "include" { found.append((false, words)) }
            }
            for (isHost, words) in found {
                if isHost {
                    hosts += words.filter(SSHConfiguration.isHost)
                } else {
                    for word in words { for path in paths(word, beside: path) { read(path, depth: depth + 1) } }
                }
            }
        }

        /// Relative to `~/.ssh`, or, for a file of `/etc/ssh`, to that.
        private func paths(_ pattern: String, beside path: String) -> [String] {
            var pattern = pattern
            if pattern.hasPrefix("~/") {
                pattern = home + pattern.dropFirst()
            } else if !pattern.hasPrefix("/") {
                pattern = (path.hasPrefix("/etc/ssh/") ? "/etc/ssh/" : "\(home)/.ssh/") + pattern
            }
            var found = glob_t()
            defer { globfree(&found) }
            guard glob(pattern, 0, nil, &found) == 0 else { return [] }
            return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
        }

        private static func text(_ path: String) -> String? {
            guard let file = fopen(path, "re") else { return nil }
            defer { fclose(file) }
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = fread(&buffer, 1, buffer.count, file)
                guard count > 0 else { break }
                bytes += buffer[..<count]
                guard bytes.count <= SSHConfiguration.sizeLimit else { return nil }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
