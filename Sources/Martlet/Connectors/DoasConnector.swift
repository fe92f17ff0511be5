/// A context as another user of the same machine, by doas, which asks on a terminal: it gets one for its question alone.
public struct DoasConnector: Connector {
    /// Whose rights the context has. Default: root's.
    public var user: String?
    /// Answers doas's question. Default: nobody is asked unless there is a responder.
    public var password: Secret?
    /// The doas program. Default: `doas`, found in `PATH`.
    public var program = "doas"

    /// A way to `user`'s rights.
    public init(user: String? = nil, password: Secret? = nil) {
        self.user = user
        self.password = password
    }

    /// `doas:postgres`.
    public var label: String { "doas:\(user ?? "root")" }

    /// The doas command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(user, "user")
        var arguments = [program]
        if !bootstrap.mayAsk { arguments.append("-n") }
        if let user { arguments += ["-u", user] }
        return .shell(arguments + ["--"] + bootstrap.command, asking: bootstrap.mayAsk ? .onTerminal : .nothing)
    }

    /// What doas asks before the shell starts is the password, in whatever language.
    public func kind(of prompt: Prompt, isMarked: Bool, behind chatter: [String]) -> Prompt.Kind {
        let guess = Prompt.Kind.guess(prompt.text)
        return guess == .other ? .password : guess
    }

    /// doas's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        PrivilegeDiagnosis.error(failure, program: program, account: user ?? "root")
    }
}

extension DoasConnector {
    /// `doas:postgres`.
    public static let kind = ConnectorKind(
        "doas",
        "another user of the same machine, by doas",
        argument: .optional("user"),
        options: [.program("doas", \.program)],
        hints: ["user": "write the user behind the colon: doas:postgres"],
        staysOnMachine: true
    ) { spec throws(SpecError) in
        DoasConnector(user: try spec.optionalName("user"))
    } written: {
        $0.user
    }
}

extension Connector where Self == DoasConnector {
    /// A context as another user of the same machine, by doas. See ``DoasConnector``.
    public static func doas(user: String? = nil, password: Secret? = nil) -> DoasConnector {
        DoasConnector(user: user, password: password)
    }
}
