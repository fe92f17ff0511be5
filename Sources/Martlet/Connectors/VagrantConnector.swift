/// A context in a virtual machine of vagrant's, by `vagrant ssh`, which becomes ssh. It takes a second or two to begin; for
/// many connects write its `vagrant ssh-config` to a file, and use ``SSHConnector`` with that.
public struct VagrantConnector: Connector {
    /// The machine's name. Default: the only one, or the primary one.
    public var machine: String?
    /// Where the Vagrantfile is. Default: where this process is.
    public var directory: String?
    /// Further options of ssh: `["-o", "ServerAliveInterval=5"]`.
    public var options: [String] = []
    /// The vagrant program. Default: `vagrant`, found in `PATH`.
    public var program = "vagrant"

    /// A way into `machine`.
    public init(_ machine: String? = nil, directory: String? = nil) {
        self.machine = machine
        self.directory = directory
    }

    /// `vagrant`, `vagrant:web`.
    public var label: String { "vagrant" + (machine.map { ":\($0)" } ?? "") }

    /// One for all machines of a directory.
    public var door: String { "vagrant \(directory ?? "")" }

    /// The `vagrant ssh` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(machine, "machine")
        var local = LocalOptions()
        local.directory = directory
        let name = machine.map { [$0] } ?? []
        // What follows the dashes is ssh's, behind the host.
        return .shell(
            [program, "ssh"] + name + ["--", "-T", "-e", "none"] + options + [bootstrap.line], options: local)
    }

    /// vagrant's own words, and ssh's, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        let name = machine ?? "the machine"
        let own = Symptom.error(
            failure,
            [
                Symptom(
                    ["A Vagrant environment or target machine is required"], .connectorFailed,
                    "there is no Vagrantfile here",
                    "name the directory where it is"),
                Symptom(
                    ["was not found configured", "machine index", "multi-machine environment"], .unreachable,
                    "vagrant has no machine \(machine ?? "that this could mean")",
                    "see what there is: vagrant global-status"),
                Symptom(
                    ["must be running", "must be created", "not yet ready for SSH"], .unreachable,
                    "\(name) does not run",
                    "start it: vagrant up \(machine ?? "")"),
            ])
        return own ?? SSHDiagnosis.error(failure, host: name)
    }
}

extension VagrantConnector {
    /// `vagrant:web?dir=~/boxes`.
    public static let kind = ConnectorKind(
        "vagrant",
        "a machine of Vagrant's",
        argument: .optional("machine"),
        options: [
            .path("dir", \.directory, "where its Vagrantfile is"),
            .list("option", \.options, "an option of ssh's"),
            .program("vagrant", \.program),
        ]
    ) { spec throws(SpecError) in
        VagrantConnector(try spec.optionalName("machine"))
    } written: {
        $0.machine
    }
}

extension Connector where Self == VagrantConnector {
    /// A context in a virtual machine of vagrant's. See ``VagrantConnector``.
    public static func vagrant(_ machine: String? = nil, directory: String? = nil) -> VagrantConnector {
        VagrantConnector(machine, directory: directory)
    }
}
