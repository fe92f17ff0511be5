/// A context as another user of the same machine, by sudo.
///
/// sudo's password question is told from any other by a mark of ours, whatever the language. Where sudo insists on a terminal
/// (`requiretty`) it gets one for itself; data goes through pipes all the same.
public struct SudoConnector: Connector {
    /// Whose rights the context has. Default: root's.
    public var user: String?
    /// Default: the user's own.
    public var group: String?
    /// Answers sudo's question for a password. Default: nobody is asked unless there is a responder.
    public var password: Secret?
    /// As after a login, as `sudo -i`: the user's login shell, environment and home directory.
    public var isLogin = false
    /// Sets `HOME` to the user's home directory, as `sudo -H`.
    public var setsHome = false
    /// Variables to keep, as `sudo --preserve-env=LIST`. sudo's own rules may refuse it.
    public var keptVariables: [String] = []
    /// Further options for sudo.
    public var options: [String] = []
    /// The sudo program. Default: `sudo`, found in `PATH`.
    public var program = "sudo"
    /// It asks for a terminal before it does anything.
    var needsTerminal = false

    /// A way to `user`'s rights.
    public init(user: String? = nil, password: Secret? = nil) {
        self.user = user
        self.password = password
    }

    /// `sudo:postgres`.
    public var label: String { "sudo:\(user ?? "root")" }

    /// The sudo command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        for name in [user, group] { try PlainName.check(name, "user or group") }
        let mark = "martlet-\(UInt64.random(in: .min ... .max))"
        var arguments = [program]
        // %p: of whom the password is asked.
        arguments += bootstrap.mayAsk ? ["-S", "-p", "\(mark) [sudo] password for %p: "] : ["-n"]
        if let user { arguments += ["-u", user] }
        if let group { arguments += ["-g", group] }
        if setsHome { arguments.append("-H") }
        if !keptVariables.isEmpty { arguments.append("--preserve-env=" + keptVariables.joined(separator: ",")) }
        if isLogin { arguments.append("-i") }
        arguments += options + ["--", "sh", "-c", isLogin ? bootstrap.plainScript : bootstrap.script]
        return .shell(
            arguments,
            asking: bootstrap.mayAsk
                ? .onPipes(mark: mark, hasTerminal: needsTerminal) : needsTerminal ? .onTerminal : .nothing)
    }

    /// With a terminal, where sudo insists on one.
    public func alternative(after failure: ConnectorFailure) -> SudoConnector? {
        guard !needsTerminal, failure.lines.contains(where: { $0.mentions("must have a tty") }) else { return nil }
        var other = self
        other.needsTerminal = true
        return other
    }

    /// sudo's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        PrivilegeDiagnosis.error(failure, program: program, account: user ?? "root")
    }
}

extension SudoConnector {
    /// `sudo:postgres?login`.
    public static let kind = ConnectorKind(
        "sudo",
        "another user of the same machine, by sudo",
        argument: .optional("user"),
        options: [
            .text("group", \.group, "the group, as sudo -g"),
            .flag("login", \.isLogin, "as after a login, as sudo -i"),
            .flag("set-home", \.setsHome, "sets HOME, as sudo -H"),
            .list("keep", \.keptVariables, "a variable to keep, as --preserve-env"),
            .list("option", \.options, "an option of sudo's"),
            .program("sudo", \.program),
        ],
        hints: ["user": "write the user behind the colon: sudo:postgres"],
        staysOnMachine: true
    ) { spec throws(SpecError) in
        let user = try spec.optionalName("user")
        try spec["group"]?.checkName("group")
        return SudoConnector(user: user)
    } written: {
        $0.user
    }
}

extension Connector where Self == SudoConnector {
    /// A context as another user of the same machine, by sudo. See ``SudoConnector``.
    public static func sudo(user: String? = nil, password: Secret? = nil) -> SudoConnector {
        SudoConnector(user: user, password: password)
    }
}
