// How the ways into containers, pods, jails and machines are written in specs.

extension ContainerConnector {
    /// `docker:root@web?dir=/srv`.
    public static let docker = running("docker")
    /// `podman:web`.
    public static let podman = running("podman")
    /// `docker-run:debian:12`.
    public static let dockerRun = fresh("docker")
    /// `podman-run:debian:12`.
    public static let podmanRun = fresh("podman")

    private static func running(_ program: String) -> ConnectorKind {
        kind(program, "a container of \(program)'s that runs", "[user@]container", program, isFresh: false)
    }

    private static func fresh(_ program: String) -> ConnectorKind {
        kind(
            "\(program)-run", "a fresh container of \(program)'s, removed at the end", "[user@]image", program,
            isFresh: true)
    }

    private static func kind(
        _ name: String, _ summary: String, _ argument: String, _ program: String, isFresh: Bool
    ) -> ConnectorKind {
        ConnectorKind(
            name, summary, argument: .required(argument),
            options: [
                .init("dir", .path, "the directory to start in"),
                .init("env", .assignment, "a variable to set", isRepeatable: true),
                .init("option", .text, "an option of \(isFresh ? "run" : "exec")'s", isRepeatable: true),
                .init("global", .text, "an option before \(isFresh ? "run" : "exec")", isRepeatable: true),
                .init("program", .program, "the program"),
            ],
            describes: { (connector: ContainerConnector) in
                connector.isFresh == isFresh && connector.isOf(program)
            }
        ) { (spec: SpecReader) throws(SpecError) -> ContainerConnector in
            let (user, container) = try spec.userAndName(isFresh ? "image" : "container")
            var connector = ContainerConnector(
                container, isFresh: isFresh, program: spec["program"]?.text ?? program)
            connector.user = user
            connector.directory = spec["dir"]?.text
            connector.environment = spec.assignments("env")
            connector.options = spec.all("option").map(\.text)
            connector.programOptions = spec.all("global").map(\.text)
            return connector
        } parts: { connector in
            var parts = SpecParts(SpecParts.joined(connector.user, connector.name))
            parts.add("dir", connector.directory)
            parts.add(assignments: connector.environment)
            for option in connector.options { parts.add("option", option) }
            for option in connector.programOptions { parts.add("global", option) }
            if connector.program != program { parts.add("program", connector.program) }
            return parts
        }
    }

    /// Whether its program is this one, as far as its name tells; else it is docker's.
    private func isOf(_ program: String) -> Bool {
        let isPodman = self.program.split(separator: "/").last == "podman"
        return isPodman == (program == "podman")
    }
}

extension KubectlConnector {
    /// `kubectl:web?namespace=shop&container=nginx`.
    public static let kind = ConnectorKind(
        "kubectl",
        "a container of a Kubernetes pod",
        argument: .required("pod"),
        options: [
            .init("namespace", .text, "the pod's namespace"), .init("container", .text, "which of the pod's"),
            .init("context", .text, "the context of the configuration"),
            .init("config", .path, "another configuration, as --kubeconfig"),
            .init("option", .text, "an option of kubectl's", isRepeatable: true),
            .init("program", .program, "the kubectl program"),
        ]
    ) { (spec: SpecReader) throws(SpecError) -> KubectlConnector in
        try spec.argument?.checkName("pod")
        var connector = KubectlConnector(
            spec.argument?.text ?? "", namespace: spec["namespace"]?.text, container: spec["container"]?.text)
        connector.context = spec["context"]?.text
        connector.configuration = spec["config"]?.text
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.pod)
        parts.add("namespace", connector.namespace)
        parts.add("container", connector.container)
        parts.add("context", connector.context)
        parts.add("config", connector.configuration)
        for option in connector.options { parts.add("option", option) }
        if connector.program != "kubectl" { parts.add("program", connector.program) }
        return parts
    }
}

extension LXCConnector {
    /// `lxc:web`.
    public static let kind = ConnectorKind(
        "lxc",
        "a container of LXC's, by lxc-attach",
        argument: .required("container"),
        options: [
            .init("uid", .number(0...Int(UInt32.max)), "the user id there"),
            .init("gid", .number(0...Int(UInt32.max)), "the group id there"),
            .init("env", .assignment, "a variable to set", isRepeatable: true),
            .init("path", .path, "where containers are, as lxc-attach -P"),
            .init("option", .text, "an option of lxc-attach's", isRepeatable: true),
            .init("program", .program, "the lxc-attach program"),
        ]
    ) { (spec: SpecReader) throws(SpecError) -> LXCConnector in
        try spec.argument?.checkName("container")
        var connector = LXCConnector(spec.argument?.text ?? "")
        connector.userID = spec.number("uid").map { UInt32($0) }
        connector.groupID = spec.number("gid").map { UInt32($0) }
        connector.environment = spec.assignments("env")
        connector.path = spec["path"]?.text
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.container)
        parts.add("uid", connector.userID.map(String.init))
        parts.add("gid", connector.groupID.map(String.init))
        parts.add(assignments: connector.environment)
        parts.add("path", connector.path)
        for option in connector.options { parts.add("option", option) }
        if connector.program != "lxc-attach" { parts.add("program", connector.program) }
        return parts
    }
}

extension IncusConnector {
    /// `incus:web`.
    public static let incus = kind("incus", "incus", "an instance of Incus")
    /// `lxd:web`.
    public static let lxd = kind("lxd", "lxc", "an instance of LXD")

    private static func kind(_ name: String, _ program: String, _ summary: String) -> ConnectorKind {
        ConnectorKind(
            name, summary, argument: .required("[remote:]instance"),
            options: [
                .init("project", .text, "the instance's project"),
                .init("uid", .number(0...Int(UInt32.max)), "the user id there"),
                .init("gid", .number(0...Int(UInt32.max)), "the group id there"),
                .init("dir", .path, "the directory to start in"),
                .init("env", .assignment, "a variable to set", isRepeatable: true),
                .init("option", .text, "an option of exec's", isRepeatable: true),
                .init("program", .program, "the \(program) program"),
            ],
            describes: { (connector: IncusConnector) in
                (connector.program.split(separator: "/").last == "lxc") == (program == "lxc")
            }
        ) { (spec: SpecReader) throws(SpecError) -> IncusConnector in
            try spec.argument?.checkName("instance")
            var connector = IncusConnector(spec.argument?.text ?? "", program: spec["program"]?.text ?? program)
            connector.project = spec["project"]?.text
            connector.userID = spec.number("uid").map { UInt32($0) }
            connector.groupID = spec.number("gid").map { UInt32($0) }
            connector.directory = spec["dir"]?.text
            connector.environment = spec.assignments("env")
            connector.options = spec.all("option").map(\.text)
            return connector
        } parts: { connector in
            var parts = SpecParts(connector.instance)
            parts.add("project", connector.project)
            parts.add("uid", connector.userID.map(String.init))
            parts.add("gid", connector.groupID.map(String.init))
            parts.add("dir", connector.directory)
            parts.add(assignments: connector.environment)
            for option in connector.options { parts.add("option", option) }
            if connector.program != program { parts.add("program", connector.program) }
            return parts
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
            .init("dir", .path, "the directory to start in"),
            .init("env", .assignment, "a variable to set", isRepeatable: true),
            .init("option", .text, "an option of systemd-run's", isRepeatable: true),
            .init("program", .program, "the systemd-run program"),
        ]
    ) { (spec: SpecReader) throws(SpecError) -> MachineConnector in
        let (user, machine) = try spec.userAndName("machine")
        var connector = MachineConnector(machine, user: user)
        connector.directory = spec["dir"]?.text
        connector.environment = spec.assignments("env")
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(SpecParts.joined(connector.user, connector.machine))
        parts.add("dir", connector.directory)
        parts.add(assignments: connector.environment)
        for option in connector.options { parts.add("option", option) }
        if connector.program != "systemd-run" { parts.add("program", connector.program) }
        return parts
    }
}

extension NspawnConnector {
    /// `nspawn:/srv/debian?volatile&no-network`.
    public static let kind = ConnectorKind(
        "nspawn",
        "a directory or disk image, started by systemd-nspawn",
        argument: .required("path"),
        options: [
            .init("image", .flag, "the path is a disk image"),
            .init("volatile", .flag, "what is written is forgotten"),
            .init("no-network", .flag, "without a network"),
            .init("hostname", .text, "the machine's name there"), .init("user", .text, "whose rights it has there"),
            .init("dir", .path, "the directory to start in"),
            .init("env", .assignment, "a variable to set", isRepeatable: true),
            .init("option", .text, "an option of systemd-nspawn's", isRepeatable: true),
            .init("program", .program, "the systemd-nspawn program"),
        ]
    ) { (spec: SpecReader) throws(SpecError) -> NspawnConnector in
        try spec.argument?.checkName("directory")
        var connector = NspawnConnector(spec.argument?.text ?? "")
        connector.isImage = spec.has("image")
        connector.isVolatile = spec.has("volatile")
        connector.hasNetwork = !spec.has("no-network")
        connector.hostname = spec["hostname"]?.text
        connector.user = spec["user"]?.text
        connector.directory = spec["dir"]?.text
        connector.environment = spec.assignments("env")
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.root)
        parts.add(flag: "image", connector.isImage)
        parts.add(flag: "volatile", connector.isVolatile)
        parts.add(flag: "no-network", !connector.hasNetwork)
        parts.add("hostname", connector.hostname)
        parts.add("user", connector.user)
        parts.add("dir", connector.directory)
        parts.add(assignments: connector.environment)
        for option in connector.options { parts.add("option", option) }
        if connector.program != "systemd-nspawn" { parts.add("program", connector.program) }
        return parts
    }
}

extension JailConnector {
    /// `jexec:www@web`.
    public static let kind = ConnectorKind(
        "jexec",
        "a FreeBSD jail, by jexec",
        argument: .required("[user@]jail"),
        options: [.init("login", .flag, "as after a login"), .init("program", .program, "the jexec program")]
    ) { (spec: SpecReader) throws(SpecError) -> JailConnector in
        let (user, jail) = try spec.userAndName("jail")
        var connector = JailConnector(jail, user: user)
        connector.isLogin = spec.has("login")
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(SpecParts.joined(connector.user, connector.jail))
        parts.add(flag: "login", connector.isLogin)
        if connector.program != "jexec" { parts.add("program", connector.program) }
        return parts
    }
}

extension VagrantConnector {
    /// `vagrant:web?dir=~/boxes`.
    public static let kind = ConnectorKind(
        "vagrant",
        "a machine of Vagrant's",
        argument: .optional("machine"),
        options: [
            .init("dir", .path, "where its Vagrantfile is"),
            .init("option", .text, "an option of ssh's", isRepeatable: true),
            .init("program", .program, "the vagrant program"),
        ]
    ) { (spec: SpecReader) throws(SpecError) -> VagrantConnector in
        try spec.argument?.checkName("machine")
        var connector = VagrantConnector(spec.argument?.text, directory: spec["dir"]?.text)
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.machine)
        parts.add("dir", connector.directory)
        for option in connector.options { parts.add("option", option) }
        if connector.program != "vagrant" { parts.add("program", connector.program) }
        return parts
    }
}

extension NamespaceConnector {
    /// `nsenter:4711?namespace=net`, `nsenter:web?of=docker`.
    public static let kind = ConnectorKind(
        "nsenter",
        "the namespaces of a process, or of a container's first one",
        argument: .required("pid|container"),
        options: [
            .init("of", .choice(Manager.allCases.map(\.rawValue)), "whose container it is"),
            .init("namespace", .choice(Namespace.allCases.map(\.rawValue)), "only this one", isRepeatable: true),
            .init("uid", .number(0...Int(UInt32.max)), "the user id there"),
            .init("gid", .number(0...Int(UInt32.max)), "the group id there"),
            .init("env", .assignment, "a variable to set", isRepeatable: true),
            .init("program", .program, "the nsenter program"),
        ],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> NamespaceConnector in
        guard let argument = spec.argument else { preconditionFailure("nsenter has an argument") }
        var connector: NamespaceConnector
        if let manager = spec["of"].flatMap({ Manager(rawValue: $0.text) }) {
            try argument.checkName("container")
            connector = NamespaceConnector(leaderOf: argument.text, in: manager)
        } else {
            guard let pid = Int32(argument.text), pid > 0 else {
                throw argument.error("this is not the number of a process", advice: "for a container add of=docker")
            }
            connector = NamespaceConnector(pid: pid)
        }
        let namespaces = spec.all("namespace").compactMap { Namespace(rawValue: $0.text) }
        if !namespaces.isEmpty { connector.namespaces = Set(namespaces) }
        connector.userID = spec.number("uid").map { UInt32($0) }
        connector.groupID = spec.number("gid").map { UInt32($0) }
        connector.environment = spec.assignments("env")
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.container ?? connector.pid.map(String.init))
        parts.add("of", connector.manager?.rawValue)
        for namespace in (connector.namespaces ?? []).map(\.rawValue).sorted() { parts.add("namespace", namespace) }
        parts.add("uid", connector.userID.map(String.init))
        parts.add("gid", connector.groupID.map(String.init))
        parts.add(assignments: connector.environment)
        if connector.program != "nsenter" { parts.add("program", connector.program) }
        return parts
    }
}

extension ChrootConnector {
    /// `chroot:/srv/debian`.
    public static let kind = ConnectorKind(
        "chroot",
        "another root directory",
        argument: .required("directory"),
        options: [.init("user", .text, "whose rights it has there"), .init("program", .program, "the chroot program")]
    ) { (spec: SpecReader) throws(SpecError) -> ChrootConnector in
        try spec.argument?.checkName("directory")
        var connector = ChrootConnector(spec.argument?.text ?? "", user: spec["user"]?.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.directory)
        parts.add("user", connector.user)
        if connector.program != "chroot" { parts.add("program", connector.program) }
        return parts
    }
}

extension UnshareConnector {
    /// `unshare?memory=512`.
    public static let kind = ConnectorKind(
        "unshare",
        "a sandbox of one's own: no network, an own /tmp, own processes",
        argument: .none,
        options: [
            .init("network", .flag, "with the network"), .init("shared-tmp", .flag, "with the same /tmp"),
            .init("memory", .number(1...1_000_000_000), "how much memory each process may have, in MiB"),
            .init("option", .text, "an option of unshare's", isRepeatable: true),
            .init("program", .program, "the unshare program"),
        ],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> UnshareConnector in
        var connector = UnshareConnector()
        connector.hasNetwork = spec.has("network")
        connector.hasSharedTemporaryDirectory = spec.has("shared-tmp")
        connector.memoryLimit = spec.number("memory").map { UInt64($0) << 20 }
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts()
        parts.add(flag: "network", connector.hasNetwork)
        parts.add(flag: "shared-tmp", connector.hasSharedTemporaryDirectory)
        parts.add("memory", connector.memoryLimit.map { "\(max(1, $0 >> 20))" })
        for option in connector.options { parts.add("option", option) }
        if connector.program != "unshare" { parts.add("program", connector.program) }
        return parts
    }
}

extension SpecReader {
    /// `[user@]name`.
    fileprivate func userAndName(_ what: String) throws(SpecError) -> (String?, String) {
        guard let argument else { preconditionFailure("a kind with a name has an argument") }
        try argument.checkName(what)
        guard let at = argument.text.firstIndex(of: "@") else { return (nil, argument.text) }
        let (user, name) = (argument.text[..<at], argument.text[argument.text.index(after: at)...])
        // An image may be named by its digest: name@sha256:…
        if name.hasPrefix("sha256:") { return (nil, argument.text) }
        guard !user.isEmpty, !name.isEmpty, !name.hasPrefix("-") else {
            throw argument.error("this is not the name of a \(what)")
        }
        return (String(user), String(name))
    }

    fileprivate func assignments(_ name: String) -> [String: String] {
        var result: [String: String] = [:]
        for entry in all(name) {
            let equals = entry.text.firstIndex(of: "=") ?? entry.text.endIndex
            result[String(entry.text[..<equals])] = String(entry.text[equals...].dropFirst())
        }
        return result
    }
}

extension SpecParts {
    fileprivate static func joined(_ user: String?, _ name: String) -> String { (user.map { "\($0)@" } ?? "") + name }

    fileprivate mutating func add(assignments: [String: String]) {
        for (name, value) in assignments.sorted(by: { $0.key < $1.key }) { add("env", "\(name)=\(value)") }
    }
}
