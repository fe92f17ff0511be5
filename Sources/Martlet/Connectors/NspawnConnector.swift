/// A context in a container that systemd-nspawn makes for it of a directory or a disk image, and that ends with it. Needs root;
/// systemd need not run on the machine.
public struct NspawnConnector: Connector {
    /// A directory with a system's files, or a disk image if ``isImage``.
    public var root: String
    /// `root` is a disk image.
    public var isImage = false
    /// What is written is thrown away at the end.
    public var isVolatile = false
    /// Whether it has the machine's network. Default: yes, as systemd-nspawn has it.
    public var hasNetwork = true
    /// Its host name. Default: that of the directory or image.
    public var hostname: String?
    /// Default: root.
    public var user: String?
    /// Default: `/`.
    public var directory: String?
    /// Variables to set.
    public var environment: [String: String] = [:]
    /// Further options: `["--bind-ro=/srv/data"]`.
    public var options: [String] = []
    /// The program. Default: `systemd-nspawn`, found in `PATH`.
    public var program = "systemd-nspawn"

    /// A container of the system in the directory `root`.
    public init(_ root: String) { self.root = root }

    /// `nspawn:/srv/debian`.
    public var label: String { "nspawn:" + PlainName.joined(user, root) }

    /// The `systemd-nspawn` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(root, isImage ? "disk image" : "directory")
        for (name, what) in [(hostname, "machine"), (user, "user")] { try PlainName.check(name, what) }
        // Nobody but us need know of it, and an agent must not be the first process, which signals do not end.
        var arguments = [program, "-q", "--register=no", "--keep-unit", "--link-journal=no", "--pipe", "--as-pid2"]
        if isVolatile { arguments.append("--volatile=overlay") }
        if !hasNetwork { arguments.append("--private-network") }
        if let hostname { arguments += ["-M", hostname] }
        if let user { arguments += ["-u", user] }
        if let directory { arguments += ["--chdir", directory] }
        for setting in try PlainName.settings(environment) { arguments += ["-E", setting] }
        return .shell(arguments + options + [isImage ? "-i" : "-D", root, "--"] + bootstrap.command)
    }

    /// systemd-nspawn's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        Symptom.error(
            failure,
            [
                Symptom(
                    ["Need to be root", "Operation not permitted"], .authenticationFailed,
                    "only root may make a container", "go in as root: sudo first, then nspawn"),
                Symptom(["Failed to resolve path"], .unreachable, "there is no \(root)"),
                Symptom(
                    ["look like it has an OS tree"], .unreachable, "there is no system in \(root)",
                    "a directory usr must be there, and a sh"),
                Symptom(
                    ["is currently busy"], .unreachable, "another container uses \(root)",
                    "end that one, or let each have a copy of its own: options [\"--ephemeral\"]"),
                Symptom(["Failed to resolve user"], .connectorFailed, "there is no user \(user ?? "") in \(root)"),
                Symptom(
                    ["Failed to change to specified working directory"], .connectorFailed,
                    "there is no directory \(directory ?? "") in \(root)"),
                .noShell(["execv(sh) failed"], root),
            ])
    }
}

extension NspawnConnector {
    /// `nspawn:/srv/debian?volatile&no-network`.
    public static let kind = ConnectorKind(
        "nspawn",
        "a directory or disk image, started by systemd-nspawn",
        argument: .required("path"),
        options: [
            .flag("image", \.isImage, "the path is a disk image"),
            .flag("volatile", \.isVolatile, "what is written is forgotten"),
            .flag("no-network", \.hasNetwork, "without a network", value: false),
            .text("hostname", \.hostname, "the machine's name there"),
            .text("user", \.user, "whose rights it has there"),
            .path("dir", \.directory, "the directory to start in"),
            .assignments("env", \.environment, "a variable to set"),
            .list("option", \.options, "an option of systemd-nspawn's"),
            .program("systemd-nspawn", \.program),
        ]
    ) { spec throws(SpecError) in
        NspawnConnector(try spec.name("directory"))
    } written: {
        $0.root
    }
}

extension Connector where Self == NspawnConnector {
    /// A context in a container that systemd-nspawn makes of a directory. See ``NspawnConnector``.
    public static func nspawn(_ directory: String) -> NspawnConnector { NspawnConnector(directory) }

    /// A context in a container that systemd-nspawn makes of a disk image. See ``NspawnConnector``.
    public static func nspawn(image: String) -> NspawnConnector {
        var connector = NspawnConnector(image)
        connector.isImage = true
        return connector
    }
}
