/// Reads the arguments of `ssh`, by OpenSSH's grammar: flags in one word or several, options also behind the host, and
/// everything from the first word behind the host on is the command.
///
/// What only concerns the way to the host (ciphers, keys, configuration files, jump hosts) is read and left: the way is there
/// already.
struct SSHArguments {
    /// As OpenSSH 9's own list: letters with `:` have a value.
    private static let letters = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"
    private static let withValue: Set<Character> = {
        var result: Set<Character> = []
        for (letter, next) in zip(letters, letters.dropFirst()) where next == ":" { result.insert(letter) }
        return result
    }()
    private static let known = Set(letters).subtracting([":"])

    static let usage = """
        usage: ssh [-AaCfGgKkMNnqsTtVvXxYy] [-l user] [-o option] [-p port] [-W host:port]
                   [-b -c -E -e -F -I -i -J -m -P -S: read and left] destination [command [argument ...]]

        """

    private var result = SSHInvocation()
    private var words: ArraySlice<String>
    private var hasHost = false
    private var isTerminated = false
    private var isSubsystem = false
    private var showsConfiguration = false
    private var option: (terminal: String?, command: String?, session: String?) = (nil, nil, nil)
    private var terminalFlags = 0
    private var forwardedTo: String?

    private enum Stop: Error { case with(SSHReading) }

    private init(_ words: [String]) { self.words = words[...] }

    /// - Parameter arguments: without the program's name.
    static func read(_ arguments: [String]) -> SSHReading {
        var reader = SSHArguments(arguments)
        do throws(Stop) { return try reader.read() } catch {
            switch error {
            case .with(let reading): return reading
            }
        }
    }

    private mutating func read() throws(Stop) -> SSHReading {
        try readFlags()
        guard let destination = words.popFirst() else { throw .with(.refusal(Self.usage)) }
        try read(destination: destination)
        if !isTerminated { try readFlags() }
        return try conclude(words.joined(separator: " "))
    }

    private mutating func readFlags() throws(Stop) {
        while let word = words.first, word.hasPrefix("-"), word != "-" {
            words.removeFirst()
            if word == "--" {
                isTerminated = true
                return
            }
            var rest = word.dropFirst()
            while let letter = rest.popFirst() {
                guard Self.known.contains(letter) else {
                    throw .with(.refusal("unknown option -- \(letter)\n\(Self.usage)"))
                }
                guard Self.withValue.contains(letter) else {
                    try read(flag: letter)
                    continue
                }
                var value = String(rest)
                rest = ""
                if value.isEmpty {
                    guard let next = words.popFirst() else {
                        throw .with(.refusal("option requires an argument -- \(letter)\n\(Self.usage)"))
                    }
                    value = next
                }
                try read(letter, value)
            }
        }
    }

    private mutating func read(flag: Character) throws(Stop) {
        switch flag {
        case "n": result.hasNoInput = true
        case "q": result.isQuiet = true
        case "v": result.verbosity += 1
        case "s": isSubsystem = true
        case "t": terminalFlags = max(0, terminalFlags) + 1
        case "T": terminalFlags = -1
        case "N": option.session = "none"
        case "G": showsConfiguration = true
        case "V":
            throw .with(.answer(output: "", error: "OpenSSH_9.9 compatible (lent by martlet)\n", status: 0))
        case "f": throw .with(unable("-f", "run it in the background by your shell's & instead"))
        default: break
        }
    }

    private mutating func read(_ letter: Character, _ value: String) throws(Stop) {
        switch letter {
        case "l": if result.user == nil { result.user = value }
        case "p":
            guard let port = Self.port(value) else { throw .with(.refusal("Bad port '\(value)'")) }
            if result.port == nil { result.port = port }
        case "W": forwardedTo = value
        case "o": try read(option: value)
        case "D", "L", "R", "w":
            throw .with(unable("-\(letter)", "forward ports by 'martlet forward' instead"))
        case "O": throw .with(unable("-O", "there is no master connection: the context is what is shared"))
        case "Q": throw .with(unable("-Q", "there is no encryption here: that is the way to the context"))
        default: break
        }
    }

    private func unable(_ flag: String, _ advice: String) -> SSHReading {
        .refusal("ssh: \(flag) is not possible over a martlet context; \(advice)")
    }

    // MARK: Options by name

    private mutating func read(option text: String) throws(Stop) {
        let separators: (Character) -> Bool = { $0 == "=" || $0 == " " || $0 == "\t" }
        let name = text.prefix { !separators($0) }
        let value = Self.unquoted(text.dropFirst(name.count).drop(while: separators))
        switch name.lowercased() {
        case "user": if result.user == nil { result.user = value }
        case "port":
            guard let port = Self.port(value) else {
                throw .with(.refusal("command-line line 0: Bad number '\(value)'."))
            }
            if result.port == nil { result.port = port }
        case "requesttty": if option.terminal == nil { option.terminal = value.lowercased() }
        case "remotecommand": if option.command == nil { option.command = value }
        case "sessiontype": if option.session == nil { option.session = value.lowercased() }
        case "stdinnull": if value.lowercased() == "yes" { result.hasNoInput = true }
        case "loglevel": if value.lowercased() == "quiet" { result.isQuiet = true }
        case "sendenv": result.sentVariables += Self.split(value)
        case "setenv":
            for pair in Self.split(value) {
                guard let equals = pair.firstIndex(of: "=") else {
                    throw .with(.refusal("command-line line 0: Invalid environment name."))
                }
                let name = String(pair[..<equals])
                if result.variables[name] == nil {
                    result.variables[name] = String(pair[pair.index(after: equals)...])
                }
            }
        case "forkafterauthentication":
            if value.lowercased() == "yes" { throw .with(unable("-f", "run it in the background by your shell")) }
        case "localforward", "remoteforward", "dynamicforward":
            throw .with(unable("\(name)", "forward ports by 'martlet forward' instead"))
        case "": throw .with(.refusal("command-line line 0: missing argument."))
        default: break
        }
    }

    private static func unquoted(_ text: Substring) -> String {
        guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return String(text) }
        return String(text.dropFirst().dropLast())
    }

    /// Words, of which quotation marks hold together what has blanks.
    private static func split(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var (isQuoted, isWord) = (false, false)
        for character in text {
            if character == "\"" {
                isQuoted.toggle()
                isWord = true
            } else if !isQuoted, character == " " || character == "\t" {
                if isWord { words.append(word) }
                (word, isWord) = ("", false)
            } else {
                word.append(character)
                isWord = true
            }
        }
        return isWord ? words + [word] : words
    }

    // MARK: Where to

    /// `host`, `user@host`, or `ssh://[user@]host[:port]`.
    private mutating func read(destination: String) throws(Stop) {
        var rest = destination[...]
        let isURI = rest.hasPrefix("ssh://")
        if isURI {
            rest = rest.dropFirst("ssh://".count)
            if rest.last == "/" { rest.removeLast() }
            guard !rest.contains("/") else { throw .with(.refusal(Self.usage)) }
        }
        if let at = rest.lastIndex(of: "@") {
            let user = isURI ? Self.decoded(rest[..<at]) : String(rest[..<at])
            guard let user, !user.isEmpty else { throw .with(.refusal(Self.usage)) }
            if result.user == nil { result.user = user }
            rest = rest[rest.index(after: at)...]
        }
        if isURI, let (host, port) = Self.split(address: rest, needsPort: false) {
            rest = host
            if let port {
                guard let number = Self.port(String(port)) else { throw .with(.refusal(Self.usage)) }
                if result.port == nil { result.port = number }
            }
        }
        guard !rest.isEmpty else { throw .with(.refusal(Self.usage)) }
        result.host = String(rest)
    }

    /// `host:port`, `[host]:port`; without `needsPort` the port may be missing.
    private static func split(address: Substring, needsPort: Bool) -> (host: Substring, port: Substring?)? {
        if address.hasPrefix("[") {
            guard let close = address.firstIndex(of: "]") else { return nil }
            let host = address[address.index(after: address.startIndex)..<close]
            let rest = address[address.index(after: close)...]
            if rest.isEmpty { return needsPort ? nil : (host, nil) }
            return rest.hasPrefix(":") ? (host, rest.dropFirst()) : nil
        }
        guard let colon = address.lastIndex(of: ":") else { return needsPort ? nil : (address, nil) }
        return (address[..<colon], address[address.index(after: colon)...])
    }

    private static func port(_ text: String) -> UInt16? {
        guard let port = UInt16(text), port > 0, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return port
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            rest = rest.dropFirst(2)
            bytes.append(value)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: All together

    private mutating func conclude(_ line: String) throws(Stop) -> SSHReading {
        if showsConfiguration {
            let lines = [
                "host \(result.host)", "hostname \(result.host)", "user \(result.user ?? "")",
                "port \(result.port ?? 22)",
            ]
            return .answer(output: lines.joined(separator: "\n") + "\n", error: "", status: 0)
        }
        let given = option.command == nil || option.command?.lowercased() == "none" ? nil : option.command
        if given != nil, !line.isEmpty {
            return .refusal("Cannot execute command-line and remote command.")
        }
        let command = given ?? line
        if let forwardedTo {
            guard let (host, text) = Self.split(address: forwardedTo[...], needsPort: true), !host.isEmpty,
                let port = text.flatMap({ Self.port(String($0)) })
            else { return .refusal("Bad stdio forwarding specification '\(forwardedTo)'") }
            guard command.isEmpty else { return .refusal("Cannot execute command-line and remote command.") }
            result.session = .connection(host: String(host), port: port)
            result.terminal = .never
            return .invocation(result)
        }
        switch option.session {
        case "none":
            guard command.isEmpty else { return .refusal("Cannot execute command-line and remote command.") }
            result.session = .nothing
        case "subsystem": isSubsystem = true
        case nil, "default": break
        case let type?: return .refusal("command-line line 0: unsupported option \"\(type)\".")
        }
        if isSubsystem {
            guard !command.isEmpty else { return .refusal("You must specify a subsystem to invoke.") }
            result.session = .subsystem(command)
        } else if result.session != .nothing, !command.isEmpty {
            result.session = .command(command)
        }
        result.terminal = try terminal()
        return .invocation(result)
    }

    private func terminal() throws(Stop) -> SSHInvocation.Terminal {
        if terminalFlags < 0 { return .never }
        if terminalFlags > 0 { return terminalFlags > 1 ? .forced : .wanted }
        switch option.terminal {
        case nil, "auto": return .automatic
        case "no", "false": return .never
        case "yes", "true": return .wanted
        case "force": return .forced
        case let value?: throw .with(.refusal("command-line line 0: unsupported option \"\(value)\"."))
        }
    }
}
