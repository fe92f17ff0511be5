extension SSHConnector {
    /// `ssh:user@host:2222?identity=~/.ssh/key&option=ProxyJump=b`.
    public static let kind = ConnectorKind(
        "ssh",
        "a host, by the system's OpenSSH",
        argument: .required("[user@]host[:port]"),
        options: [
            .path("identity", \.identity, "a private key, as ssh -i"),
            .path("config", \.configuration, "another configuration file, as ssh -F"),
            .list("option", \.options, "an option, as ssh -o: ProxyJump=bastion"),
            .program("ssh", \.program),
        ],
        hints: [
            "user": "write the user before the host: ssh:user@host",
            "port": "write the port behind the host: ssh:host:2222",
            "key": "write identity=", "jump": "write option=ProxyJump=, or a hop before this one: ssh:jump/ssh:host",
        ]
    ) { spec throws(SpecError) in
        let host = try SSHHost(spec.place)
        return SSHConnector(host.name, user: host.user, port: host.port)
    } written: {
        $0.address
    }

    /// `user@host:port`, as far as given; an IPv6 address in brackets if more than it is given.
    var address: String {
        var text = host
        if host.utf8.contains(0x3a), port != nil || user != nil, !host.hasPrefix("[") { text = "[\(host)]" }
        if let user { text = "\(user)@\(text)" }
        return text + (port.map { ":\($0)" } ?? "")
    }
}

/// `[user@]host[:port]`, taken apart.
struct SSHHost {
    var user: String?
    var name: String
    var port: UInt16?

    init(_ argument: SpecReader.Text) throws(SpecError) {
        let scalars = Array(argument.text.unicodeScalars)
        if argument.text.hasPrefix("//") {
            throw argument.error("no slashes stand before the host", at: 0..<2, advice: "ssh:[user@]host[:port]")
        }
        var rest = 0..<scalars.count
        if let at = scalars.lastIndex(of: "@") {
            if let colon = scalars[..<at].firstIndex(of: ":") {
                var masked = argument.spec
                masked.replaceSubrange(argument.token.range(of: colon + 1..<at), with: "***".unicodeScalars)
                let start = argument.token.range(of: colon..<at).lowerBound
                throw .secret("a password never stands in a spec", in: masked, at: start..<start + 4)
            }
            guard Self.isUser(scalars[..<at]) else {
                throw argument.error("this is not the name of a user", at: 0..<max(1, at))
            }
            user = Self.string(scalars[..<at])
            rest = at + 1..<scalars.count
        }
        let host = scalars[rest]
        var end = rest.upperBound
        if host.first == "[" {
            guard let close = host.lastIndex(of: "]") else {
                throw argument.error("the bracket is not closed", at: rest)
            }
            guard host.contains(":"), Self.isAddress(scalars[rest.lowerBound + 1..<close]) else {
                throw argument.error("only an IPv6 address stands in brackets", at: rest.lowerBound..<close + 1)
            }
            name = Self.string(scalars[rest.lowerBound + 1..<close])
            end = close + 1
            guard end == rest.upperBound || scalars[end] == ":" else {
                throw argument.error("only a port stands behind the bracket", at: end..<rest.upperBound)
            }
        } else if host.count(where: { $0 == ":" }) > 1 {
            // An IPv6 address without brackets has no port.
            guard Self.isAddress(host) else { throw argument.error("this is not the name of a host", at: rest) }
            name = Self.string(host)
        } else {
            end = host.firstIndex(of: ":") ?? end
            guard Self.isName(scalars[rest.lowerBound..<end]) else {
                throw argument.error("this is not the name of a host", at: rest.lowerBound..<end)
            }
            name = Self.string(scalars[rest.lowerBound..<end])
        }
        guard end < rest.upperBound else { return }
        let digits = scalars[(end + 1)..<rest.upperBound]
        guard digits.allSatisfy(SpecCharacters.isDigit), let port = UInt16(Self.string(digits)), port > 0 else {
            throw argument.error("the port is a number from 1 to 65535", at: end + 1..<max(end + 2, rest.upperBound))
        }
        self.port = port
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars)
        return text
    }

    private static func isName(_ text: some Collection<Unicode.Scalar>) -> Bool {
        !text.isEmpty && text.first != "-"
            && text.allSatisfy { scalar in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", ".", "-", "_": true
                default: !scalar.isASCII && !SpecCharacters.isInvisible(scalar)
                }
            }
    }

    /// With a zone perhaps: `fe80::1%eth0`.
    private static func isAddress(_ text: ArraySlice<Unicode.Scalar>) -> Bool {
        let end = text.firstIndex(of: "%") ?? text.endIndex
        return text[..<end].allSatisfy { SpecCharacters.hexValue($0) != nil || $0 == ":" || $0 == "." }
            && (end == text.endIndex || isName(text[(end + 1)...]))
    }

    /// What ssh and the shells on the way take for a name and nothing else.
    private static func isUser(_ text: ArraySlice<Unicode.Scalar>) -> Bool {
        !text.isEmpty && text.first != "-" && text.last != "\\"
            && text.allSatisfy {
                $0.value > 0x20 && !SpecCharacters.isInvisible($0) && !"'`\"$;&<>|(){}".unicodeScalars.contains($0)
            }
    }
}
