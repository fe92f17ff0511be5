/// A context reached by the system's OpenSSH, with the user's own configuration: `ssh_config`, agent, keys, certificates,
/// jump hosts and host key checks are ssh's business, not ours.
///
/// What ssh asks (a password, a passphrase, a code, whether a host key is to be trusted) it asks ``password`` and the responder,
/// on a terminal of its own. With neither it asks nothing: that is a failure that says so.
public struct SSHConnector: Connector {
    /// A host's name or an alias of `ssh_config`; `user@host` as for ssh.
    public var host: String
    /// Default: what ssh's configuration says.
    public var user: String?
    /// Default: what ssh's configuration says.
    public var port: UInt16?
    /// A private key to use, as with `ssh -i`, on the machine where ssh runs. `~/` is its user's home.
    public var identity: String?
    /// Another configuration file than the user's, as with `ssh -F`, on the machine where ssh runs. `~/` is its user's home.
    public var configuration: String?
    /// Further options, as with `ssh -o`: `["ProxyJump=bastion"]`.
    public var options: [String]
    /// Answers ssh's question for the account's password. Default: nobody is asked unless there is a responder.
    public var password: Secret?
    /// The ssh program. Default: `ssh`, found in `PATH`.
    public var program: String

    /// A way to `host`. See the properties for what the parameters mean.
    public init(
        _ host: String,
        user: String? = nil,
        port: UInt16? = nil,
        identity: String? = nil,
        configuration: String? = nil,
        options: [String] = [],
        password: Secret? = nil,
        program: String = "ssh"
    ) {
        self.host = host
        self.user = user
        self.port = port
        self.identity = identity
        self.configuration = configuration
        self.options = options
        self.password = password
        self.program = program
    }

    /// `ssh:user@host:port`, as far as given.
    public var label: String { "ssh:\(address)" }

    /// The ssh command. Throws if the host's name could be taken for an option.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        guard PlainName.admits(host, blanks: false) else {
            throw MartletError(.unreachable, "\"\(host)\" is not the name of a host", phase: .reach)
        }
        // -v tells how far a connect has come. Nothing of it is shown.
        var arguments = [program.expandingHome, "-v", "-T"]
        // Each question is asked once.
        arguments += bootstrap.mayAsk ? ["-o", "NumberOfPasswordPrompts=1"] : ["-o", "BatchMode=yes"]
        // A key's path ssh expands itself.
        if let configuration { arguments += ["-F", configuration.expandingHome] }
        if let user { arguments += ["-l", user] }
        if let port { arguments += ["-p", "\(port)"] }
        if let identity { arguments += ["-i", identity] }
        for option in options { arguments += ["-o", option] }
        // A forwarding that is configured for people at a terminal must not keep a program out, and an escape
        // character must not eat data.
        arguments += ["-o", "ClearAllForwardings=yes", "-e", "none", "--", host, bootstrap.line]
        // It must ask on the terminal that we hold, and not by a program of the user's; nor may the ssh of a jump host, which
        // has none of these options.
        var local = LocalOptions()
        local.environment = ["SSH_ASKPASS": nil, "SSH_ASKPASS_REQUIRE": "never"]
        return .shell(arguments, options: local, asking: bootstrap.mayAsk ? .onTerminal : .nothing)
    }

    /// A password is this host's only where its name stands in front, if there is a jump host that may ask on the same terminal:
    /// ssh itself writes that. Only ssh asks for a passphrase, in words of its own.
    public func kind(of prompt: Prompt, isMarked: Bool, behind chatter: [String]) -> Prompt.Kind {
        switch Prompt.Kind.guess(prompt.text) {
        case .passphrase: prompt.text.hasPrefix("Enter passphrase for ") ? .passphrase : .other
        case .password: SSHAsker(prompt.text).isTarget(host, behind: chatter) ? .password : .other
        case let kind: kind
        }
    }

    /// What `ssh -v` tells about how far it has come.
    public func phase(after line: String) -> ConnectPhase? {
        guard line.hasPrefix("debug1: ") || line.hasPrefix("Authenticated to ") else { return nil }
        if line.hasPrefix("debug1: Connection established") || line.hasPrefix("debug1: Remote protocol version") {
            return .authenticate
        }
        if line.hasPrefix("Authenticated to ") || line.hasPrefix("debug1: Authentication succeeded")
            || line.hasPrefix("debug1: mux_client_request_session") || line.hasPrefix("debug1: Sending command")
        {
            return .boot
        }
        return nil
    }

    /// What `ssh -v` and ssh's farewell print.
    public func isNoise(_ line: String) -> Bool {
        line.hasPrefix("debug1: ") || line.hasPrefix("OpenSSH_") || line.hasPrefix("Authenticated to ")
            || line.hasPrefix("Killed by signal ") || line.hasPrefix("Transferred: sent ")
            || line.hasPrefix("Bytes per second: ")
    }

    /// OpenSSH's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        SSHDiagnosis.error(failure, host: host)
    }
}

extension Connector where Self == SSHConnector {
    /// A context reached by the system's OpenSSH. See ``SSHConnector``.
    public static func ssh(
        _ host: String,
        user: String? = nil,
        port: UInt16? = nil,
        identity: String? = nil,
        configuration: String? = nil,
        options: [String] = [],
        password: Secret? = nil
    ) -> SSHConnector {
        SSHConnector(
            host,
            user: user,
            port: port,
            identity: identity,
            configuration: configuration,
            options: options,
            password: password
        )
    }
}
