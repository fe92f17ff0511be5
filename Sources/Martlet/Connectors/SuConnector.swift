#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A context as another user of the same machine, by su, which asks for that user's password; not if root asks.
public struct SuConnector: Connector {
    /// Whose rights the context has.
    public var user: String
    /// Answers su's question. Default: nobody is asked unless there is a responder.
    public var password: Secret?
    /// As after a login, as `su -`: the user's environment and home directory.
    public var isLogin = false
    /// The shell to use instead of the user's own, as `su -s`. su heeds it for root alone, or where the user's own is an
    /// ordinary one.
    public var shell: String?
    /// The su program. Default: `su`, found in `PATH`.
    public var program = "su"

    /// A way to `user`'s rights.
    public init(_ user: String = "root", password: Secret? = nil) {
        self.user = user
        self.password = password
    }

    /// `su:postgres`.
    public var label: String { "su:\(user)" }

    /// The su command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(user, "user")
        var arguments = [program]
        if isLogin { arguments.append("-") }
        if let shell { arguments += ["-s", shell] }
        return .shell(arguments + [user, "-c", bootstrap.line], asking: geteuid() == 0 ? .nothing : .onPipes())
    }

    /// What su asks without a mark before the shell starts is the password, in whatever language.
    public func kind(of prompt: Prompt, isMarked: Bool, behind chatter: [String]) -> Prompt.Kind {
        let guess = Prompt.Kind.guess(prompt.text)
        return guess == .other ? .password : guess
    }

    /// su's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        PrivilegeDiagnosis.error(failure, program: program, account: user)
    }
}

extension SuConnector {
    /// `su:postgres?login`.
    public static let kind = ConnectorKind(
        "su",
        "another user of the same machine, by su",
        argument: .optional("user"),
        options: [
            .flag("login", \.isLogin, "as after a login, as su -"),
            .value(.init("shell", .program, "the shell to use, as su -s"), \.shell),
            .program("su", \.program),
        ],
        hints: ["user": "write the user behind the colon: su:postgres"],
        staysOnMachine: true
    ) { spec throws(SpecError) in
        SuConnector(try spec.optionalName("user") ?? "root")
    } written: {
        $0.user == "root" ? nil : $0.user
    }
}

extension Connector where Self == SuConnector {
    /// A context as another user of the same machine, by su. See ``SuConnector``.
    public static func su(_ user: String = "root", password: Secret? = nil) -> SuConnector {
        SuConnector(user, password: password)
    }
}
