/// A context in an instance of Incus or LXD: a container, or a virtual machine with their agent in it.
public struct IncusConnector: Connector {
    /// The instance's name; `remote:name` for one of another server.
    public var instance: String
    /// Default: the current one.
    public var project: String?
    /// A number. Default: root.
    public var userID: UInt32?
    /// Default: root's.
    public var groupID: UInt32?
    /// Default: the user's home.
    public var directory: String?
    /// Variables to set.
    public var environment: [String: String] = [:]
    /// Further options of `exec`.
    public var options: [String] = []
    /// The program: `incus` or `lxc`, or a path to one of them.
    public var program: String

    /// A way into `instance`.
    public init(_ instance: String, program: String = "incus") {
        self.instance = instance
        self.program = program
    }

    private var isLXD: Bool { program.split(separator: "/").last == "lxc" }

    /// `incus:web`, `lxd:web`.
    public var label: String { (isLXD ? "lxd:" : "incus:") + instance }

    /// One for each server.
    public var door: String {
        let remote = instance.split(separator: ":", omittingEmptySubsequences: false)
        return remote.count > 1 ? "\(program) \(remote[0])" : program
    }

    /// The `exec` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(instance, "instance")
        try PlainName.check(project, "project")
        var arguments = [program]
        if let project { arguments += ["--project", project] }
        // No terminal, or what is binary would not arrive.
        arguments += ["exec", "-T", instance]
        if let userID { arguments += ["--user", "\(userID)"] }
        if let groupID { arguments += ["--group", "\(groupID)"] }
        if let directory { arguments += ["--cwd", directory] }
        for setting in try PlainName.settings(environment) { arguments += ["--env", setting] }
        return .shell(arguments + options + ["--"] + bootstrap.command)
    }

    /// What it tells people who use it for the first time.
    public func isNoise(_ line: String) -> Bool {
        line.hasPrefix("If this is your first time") || line.hasPrefix("To start your first ")
            || line.hasPrefix("Or for a virtual machine: ")
    }

    /// Incus's and LXD's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        let group = isLXD ? "lxd" : "incus-admin"
        return Symptom.error(
            failure,
            [
                Symptom(
                    ["permission denied", "not authorized"], .authenticationFailed,
                    "we may not speak to the daemon of \(isLXD ? "LXD" : "Incus")",
                    "join the group \(group), or go in as root: sudo first, then \(isLXD ? "lxd" : "incus")"),
                Symptom(
                    ["unix.socket", "connection refused", "no route to host", "i/o timeout"], .unreachable,
                    "the daemon of \(isLXD ? "LXD" : "Incus") does not answer", "does it run? See: \(program) version"),
                Symptom(
                    ["doesn't exist"], .unreachable, "there is no such remote",
                    "see what there is: \(program) remote list"),
                Symptom(
                    ["is not running", "is stopped"], .unreachable, "the instance \(instance) does not run",
                    "start it: \(program) start \(instance)"),
                Symptom(
                    ["is frozen"], .unreachable, "the instance \(instance) is frozen",
                    "let it go on: \(program) start \(instance)"),
                .noShell(["Command not found"], "the instance \(instance)"),
                Symptom(
                    ["not found"], .unreachable, "there is no instance \(instance)",
                    "see what there is: \(program) list"),
            ])
    }
}

extension IncusConnector {
    /// `incus:web`.
    public static let incus = kind("incus", "incus", "an instance of Incus")
    /// `lxd:web`.
    public static let lxd = kind("lxd", "lxc", "an instance of LXD")

    private static func kind(_ name: String, _ program: String, _ summary: String) -> ConnectorKind {
        ConnectorKind(
            name,
            summary,
            argument: .required("[remote:]instance"),
            options: [
                .text("project", \.project, "the instance's project"),
                .number("uid", \.userID, "the user id there"),
                .number("gid", \.groupID, "the group id there"),
                .path("dir", \.directory, "the directory to start in"),
                .assignments("env", \.environment, "a variable to set"),
                .list("option", \.options, "an option of exec's"),
                .program(program, \.program),
            ],
            describes: { $0.isLXD == (program == "lxc") }
        ) { spec throws(SpecError) in
            IncusConnector(try spec.name("instance"), program: program)
        } written: {
            $0.instance
        }
    }
}

extension Connector where Self == IncusConnector {
    /// A context in an instance of Incus. See ``IncusConnector``.
    public static func incus(_ instance: String) -> IncusConnector { IncusConnector(instance) }

    /// A context in an instance of LXD. See ``IncusConnector``.
    public static func lxd(_ instance: String) -> IncusConnector { IncusConnector(instance, program: "lxc") }
}
