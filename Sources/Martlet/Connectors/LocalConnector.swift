/// A context in a process of its own on the same machine. Nothing is sent: the program's own executable is started again.
public struct LocalConnector: Connector {
    /// How the process is started.
    public var options: LocalOptions

    /// A process started with `options`.
    public init(options: LocalOptions = .init()) { self.options = options }

    /// `local`, `local:nobody`.
    public var label: String { "local" + (options.user.map { ":\($0)" } ?? "") }

    /// This program's image; for another user a shell of that user's, by su.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        var options = options
        options.directory = options.directory?.expandingHome
        guard let user = options.user else { return .image(options) }
        try PlainName.check(user, "user")
        // What may read our image is not for us to say: that user has a cache of its own.
        return .shell(["su", "-s", "/bin/sh", user, "-c", bootstrap.line], options: options)
    }

    /// su's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        guard let user = options.user else { return nil }
        var error = PrivilegeDiagnosis.error(failure, program: "su", account: user)
        error?.advice = "only root may start contexts as another user without being asked; else use su, sudo or doas"
        return error
    }
}

extension Connector where Self == LocalConnector {
    /// A context in a process of its own on the same machine.
    public static var local: LocalConnector { LocalConnector() }

    /// A context in a process of its own on the same machine.
    public static func local(_ options: LocalOptions) -> LocalConnector { LocalConnector(options: options) }
}
