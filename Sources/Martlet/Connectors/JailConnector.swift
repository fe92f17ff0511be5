/// A context in a jail of FreeBSD, by `jexec`.
public struct JailConnector: Connector {
    /// The jail's name or number.
    public var jail: String
    /// A user that the jail knows. Default: root.
    public var user: String?
    /// With a clean environment, as `jexec -l`.
    public var isLogin = false
    /// The jexec program. Default: `jexec`, found in `PATH`.
    public var program = "jexec"

    /// A way into `jail`.
    public init(_ jail: String, user: String? = nil) {
        self.jail = jail
        self.user = user
    }

    /// `jexec:web`, `jexec:www@web`.
    public var label: String { "jexec:" + PlainName.joined(user, jail) }

    /// The jexec command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(jail, "jail")
        try PlainName.check(user, "user")
        var arguments = [program]
        if isLogin { arguments.append("-l") }
        if let user { arguments += ["-U", user] }
        return .shell(arguments + [jail] + bootstrap.command)
    }

    /// jexec's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        Symptom.error(
            failure,
            [
                Symptom(
                    ["Operation not permitted"], .authenticationFailed, "we may not enter the jail \(jail)",
                    "go in as root: sudo or doas first, then jail"),
                .noShell(["execvp", "No such file or directory"], "the jail \(jail)"),
                Symptom(
                    ["no such user", "unknown user"], .connectorFailed,
                    "there is no user \(user ?? "") in the jail \(jail)"),
                Symptom(["not found"], .unreachable, "there is no jail \(jail)", "see what there is: jls"),
            ])
    }
}

extension JailConnector {
    /// `jexec:www@web`.
    public static let kind = ConnectorKind(
        "jexec",
        "a FreeBSD jail, by jexec",
        argument: .required("[user@]jail"),
        options: [.flag("login", \.isLogin, "as after a login"), .program("jexec", \.program)]
    ) { spec throws(SpecError) in
        let (user, jail) = try spec.userAndName("jail")
        return JailConnector(jail, user: user)
    } written: {
        PlainName.joined($0.user, $0.jail)
    }
}

extension Connector where Self == JailConnector {
    /// A context in a jail of FreeBSD. See ``JailConnector``.
    public static func jail(_ name: String, user: String? = nil) -> JailConnector { JailConnector(name, user: user) }
}
