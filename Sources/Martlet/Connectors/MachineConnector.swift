/// A context in a machine that systemd-machined knows and that runs systemd itself, as a unit of it: by `systemd-run`, since
/// `machinectl shell` offers a terminal and nothing else. What the context starts ends with the unit.
public struct MachineConnector: Connector {
    /// The machine's name, as `machinectl` lists it; `.host` for this one.
    public var machine: String
    /// Default: root.
    public var user: String?
    /// Default: `/`.
    public var directory: String?
    /// Variables to set.
    public var environment: [String: String] = [:]
    /// Further options of systemd-run: `["-p", "MemoryMax=1G"]`.
    public var options: [String] = []
    /// The program. Default: `systemd-run`, found in `PATH`.
    public var program = "systemd-run"

    /// A way into `machine`.
    public init(_ machine: String, user: String? = nil) {
        self.machine = machine
        self.user = user
    }

    /// `machine:web`, `machine:root@web`.
    public var label: String { "machine:" + PlainName.joined(user, machine) }

    /// The `systemd-run` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(machine, "machine")
        try PlainName.check(user, "user")
        // With a user's name there is a HOME, root's too.
        var arguments = [program, "-q", "-M", machine, "--pipe", "--wait", "--collect", "--uid", user ?? "root"]
        if let directory { arguments += ["--working-directory", directory] }
        for setting in try PlainName.settings(environment) { arguments += ["--setenv", setting] }
        // systemd puts its own variables where there is a dollar.
        return .shell(arguments + options + ["--", "/bin/sh", "-c", bootstrap.plainScript])
    }

    /// systemd's own words and codes, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        let known = Symptom.error(
            failure,
            [
                Symptom(
                    ["Permission denied", "authentication required", "Access denied"], .authenticationFailed,
                    "we may not run programs in the machine \(machine)", "go in as root: sudo first, then machine"),
                Symptom(
                    ["Host is down", "No machine", "Connection refused"], .unreachable,
                    "there is no machine \(machine), or it does not run systemd", "see what there is: machinectl list"),
                Symptom(
                    ["Failed to connect to bus", "has not been booted with systemd"], .unreachable,
                    "systemd does not run here", "enter the machine another way: nsenter, with the number of its leader"
                ),
            ])
        if let known { return known }
        // A quiet systemd-run says it by a code.
        guard failure.phase != .boot, failure.phase != .handshake else { return nil }
        switch failure.exitCode {
        case 203: return Symptom.noShell([], "the machine \(machine)").error(failure)
        case 217:
            return Symptom([], .connectorFailed, "there is no user \(user ?? "root") in the machine \(machine)").error(
                failure)
        case 200:
            return Symptom([], .connectorFailed, "there is no directory \(directory ?? "/") in the machine \(machine)")
                .error(failure)
        default: return nil
        }
    }
}

extension MachineConnector {
    /// `machine:root@web`.
    public static let kind = ConnectorKind(
        "machine",
        "a machine of systemd's, by systemd-run",
        argument: .required("[user@]machine"),
        options: [
            .path("dir", \.directory, "the directory to start in"),
            .assignments("env", \.environment, "a variable to set"),
            .list("option", \.options, "an option of systemd-run's"),
            .program("systemd-run", \.program),
        ]
    ) { spec throws(SpecError) in
        let (user, machine) = try spec.userAndName("machine")
        return MachineConnector(machine, user: user)
    } written: {
        PlainName.joined($0.user, $0.machine)
    }
}

extension Connector where Self == MachineConnector {
    /// A context in a machine that systemd-machined knows. See ``MachineConnector``.
    public static func machine(_ name: String, user: String? = nil) -> MachineConnector {
        MachineConnector(name, user: user)
    }
}
