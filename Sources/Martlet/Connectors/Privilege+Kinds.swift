extension SudoConnector {
    /// `sudo:postgres?login`.
    public static let kind = ConnectorKind(
        "sudo",
        "another user of the same machine, by sudo",
        argument: .optional("user"),
        options: [
            .init("group", .text, "the group, as sudo -g"),
            .init("login", .flag, "as after a login, as sudo -i"),
            .init("set-home", .flag, "sets HOME, as sudo -H"),
            .init("keep", .text, "a variable to keep, as --preserve-env", isRepeatable: true),
            .init("option", .text, "an option of sudo's", isRepeatable: true),
            .init("program", .program, "the sudo program"),
        ],
        hints: ["user": "write the user behind the colon: sudo:postgres"],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> SudoConnector in
        var connector = SudoConnector(user: spec.argument?.text)
        try spec.argument?.checkName("user")
        try spec["group"]?.checkName("group")
        connector.group = spec["group"]?.text
        connector.isLogin = spec.has("login")
        connector.setsHome = spec.has("set-home")
        connector.keptVariables = spec.all("keep").map(\.text)
        connector.options = spec.all("option").map(\.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.user)
        parts.add("group", connector.group)
        parts.add(flag: "login", connector.isLogin)
        parts.add(flag: "set-home", connector.setsHome)
        for name in connector.keptVariables { parts.add("keep", name) }
        for option in connector.options { parts.add("option", option) }
        if connector.program != "sudo" { parts.add("program", connector.program) }
        return parts
    }
}

extension SuConnector {
    /// `su:postgres?login`.
    public static let kind = ConnectorKind(
        "su",
        "another user of the same machine, by su",
        argument: .optional("user"),
        options: [
            .init("login", .flag, "as after a login, as su -"),
            .init("shell", .program, "the shell to use, as su -s"),
            .init("program", .program, "the su program"),
        ],
        hints: ["user": "write the user behind the colon: su:postgres"],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> SuConnector in
        try spec.argument?.checkName("user")
        var connector = SuConnector(spec.argument?.text ?? "root")
        connector.isLogin = spec.has("login")
        connector.shell = spec["shell"]?.text
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.user == "root" ? nil : connector.user)
        parts.add(flag: "login", connector.isLogin)
        parts.add("shell", connector.shell)
        if connector.program != "su" { parts.add("program", connector.program) }
        return parts
    }
}

extension DoasConnector {
    /// `doas:postgres`.
    public static let kind = ConnectorKind(
        "doas",
        "another user of the same machine, by doas",
        argument: .optional("user"),
        options: [.init("program", .program, "the doas program")],
        hints: ["user": "write the user behind the colon: doas:postgres"],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> DoasConnector in
        try spec.argument?.checkName("user")
        var connector = DoasConnector(user: spec.argument?.text)
        connector.program = spec["program"]?.text ?? connector.program
        return connector
    } parts: { connector in
        var parts = SpecParts(connector.user)
        if connector.program != "doas" { parts.add("program", connector.program) }
        return parts
    }
}

extension UnixSocketConnector {
    /// `unix:/run/martlet.sock`.
    public static let kind = ConnectorKind(
        "unix",
        "the same machine, by the Unix socket of martlet serve",
        argument: .required("path"),
        options: [.init("owner", .number(0...Int(UInt32.max)), "the user id of the server. Default: ours, or root's")],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> UnixSocketConnector in
        UnixSocketConnector(spec.argument?.text ?? "", ownerID: spec.number("owner").map { UInt32($0) })
    } parts: { connector in
        var parts = SpecParts(connector.path)
        parts.add("owner", connector.ownerID.map(String.init))
        return parts
    }
}

extension SpecReader.Text {
    /// - Throws: unless it can be the name of a user, a container and the like.
    func checkName(_ what: String) throws(SpecError) {
        guard !text.isEmpty, !text.hasPrefix("-"), !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else {
            throw error("this is not the name of a \(what)")
        }
    }
}
