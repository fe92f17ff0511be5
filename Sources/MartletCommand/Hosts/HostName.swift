/// A host as it is given on the command line: `local`, or `[user@]name[:port]` for ssh.
struct HostName: Sendable, Hashable {
    /// As it was given.
    var text: String
    var user: String?
    var name: String
    var port: UInt16?

    /// This machine, without ssh.
    var isLocal: Bool { text == "local" }

    /// - Throws: ``CommandFailure`` that says what is wrong with it.
    init(_ text: String) throws(CommandFailure) {
        self.text = text
        let shown = "\"\(HarmlessText.of(text))\""
        guard !text.isEmpty else { throw CommandFailure("a host's name is empty") }
        var rest = text[...]
        if let at = rest.lastIndex(of: "@") {
            let user = String(rest[..<at])
            guard Self.isUser(user) else { throw CommandFailure("\(shown) does not begin with the name of a user") }
            self.user = user
            rest = rest[rest.index(after: at)...]
        }
        if rest.hasPrefix("[") {
            guard let end = rest.lastIndex(of: "]") else { throw CommandFailure("\(shown): the bracket is not closed") }
            name = String(rest[rest.index(after: rest.startIndex)..<end])
            guard name.contains(":"), Self.isAddress(name) else {
                throw CommandFailure("\(shown): only an IPv6 address stands in brackets")
            }
            rest = rest[rest.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw CommandFailure("\(shown) is not the name of a host")
            }
        } else if rest.count(where: { $0 == ":" }) > 1 {
            // An IPv6 address without brackets has no port.
            guard Self.isAddress(String(rest)) else { throw CommandFailure("\(shown) is not the name of a host") }
            name = String(rest)
            rest = ""
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            name = String(rest[..<end])
            rest = rest[end...]
            guard Self.isName(name) else { throw CommandFailure("\(shown) is not the name of a host") }
        }
        if !rest.isEmpty {
            let digits = rest.dropFirst()
            guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(digits), port > 0 else {
                throw CommandFailure("\(shown): the port is a number from 1 to 65535")
            }
            self.port = port
        }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && !text.hasPrefix("-")
            && text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" || $0 == "_" }
    }

    /// With a zone perhaps: `fe80::1%eth0`.
    private static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        return parts[0].allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
            && (parts.count == 1 || isName(String(parts[1])))
    }

    /// What ssh and the shells on the way take for a name and nothing else.
    private static func isUser(_ text: String) -> Bool {
        !text.isEmpty && !text.hasPrefix("-") && !text.hasSuffix("\\")
            && text.unicodeScalars.allSatisfy {
                $0.value > 0x20 && $0.value != 0x7f && !"'`\"$;&<>|(){}".unicodeScalars.contains($0)
            }
    }
}
