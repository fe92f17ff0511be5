import ArgumentParser
import Martlet

/// The options of every command that connects.
struct WayInOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Reach every host through this one, as in --via root@bastion or --via ssh:a/ssh:b; may be repeated.",
            valueName: "spec"))
    var via: [String] = []

    @Option(name: [.customShort("F"), .customLong("ssh-config")], help: "Use this ssh configuration file.")
    var configuration: String?

    @Option(name: .shortAndLong, help: "Log in as this user, where the host does not name one.")
    var user: String?

    @Option(name: .shortAndLong, help: "Use this private key.")
    var identity: String?

    @Option(name: [.customShort("o"), .customLong("ssh-option")], help: "Pass this option to ssh; may be repeated.")
    var options: [String] = []

    @Flag(help: "Become root on each host, by sudo.")
    var sudo = false

    @Option(help: ArgumentHelp("Become this user on each host, by sudo.", valueName: "user"))
    var sudoUser: String?

    @OptionGroup var prompts: PromptOptions

    @Option(help: ArgumentHelp("Give up connecting to a host after so many seconds.", valueName: "seconds"))
    var connectTimeout: Double = 30

    @Option(
        help: ArgumentHelp(
            "Where a far machine may keep the agent: disk, memory (only RAM), or nothing (kept nowhere). Default: disk.",
            valueName: "policy"
        ),
        transform: Self.policy
    )
    var imagePolicy: ImagePolicy = .disk

    @Option(help: ArgumentHelp("Send this agent. Default: martlet-agent beside this program.", valueName: "path"))
    var agent: String?

    @Flag(help: "Connect anew, though a hub is there: see 'martlet up'.")
    var noHub = false

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func validate() throws {
        _ = try OptionValue.duration(connectTimeout, "--connect-timeout")
        try OptionValue.notBlank([
            "--ssh-config": configuration, "--user": user, "--identity": identity, "--sudo-user": sudoUser,
            "--agent": agent,
        ])
        try OptionValue.notBlank(options, "--ssh-option")
        try OptionValue.notBlank(via, "--via")
        _ = try route()
        try checkIdentity()
    }

    /// ssh would go on without a key that is not there, and say so where nobody sees it.
    private func checkIdentity() throws {
        // What it expands is for ssh to find; and of a key that an agent has, the public half is enough.
        guard let identity, !identity.hasPrefix("~"), !identity.contains("%"), !SystemCalls.exists(identity),
            !SystemCalls.exists(identity + ".pub")
        else { return }
        throw CommandFailure("--identity: there is no key \(HarmlessText.of(identity))")
    }

    private func route() throws -> RouteSpec? {
        do {
            let routes = try via.map { try RouteSpec($0, kinds: ConnectorKind.ofCommandLine) }
            return routes.first.map { routes.dropFirst().reduce($0) { $0.appending($1) } }
        } catch let error as SpecError {
            throw CommandFailure("--via: \(error)")
        }
    }

    private static func policy(_ text: String) throws -> ImagePolicy {
        guard let policy = ImagePolicy(rawValue: text) else {
            throw ValidationError(
                "--image-policy is one of \(ImagePolicy.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return policy
    }

    /// - Throws: ``CommandFailure``, as ``validate()``.
    func wayIn() throws -> WayIn {
        var way = WayIn(
            via: try route(), user: user, identity: identity, configuration: configuration, options: options)
        way.connect.deadline = .milliseconds(Int64(connectTimeout * 1000))
        way.connect.policy = imagePolicy
        if sudo || sudoUser != nil { way.become = SudoConnector(user: sudoUser) }
        way.prompts = try prompts.responder()
        // The hub has an agent of its own.
        way.mayUseHub = !noHub && agent == nil
        return way
    }
}
