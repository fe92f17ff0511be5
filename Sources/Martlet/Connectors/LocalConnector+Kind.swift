extension LocalConnector {
    /// `local?dir=/srv&nice=5`.
    public static let kind = ConnectorKind(
        "local",
        "a process of its own on the same machine",
        argument: .optional("user"),
        options: [
            .init("dir", .path, "the directory to start in"),
            .init("env", .assignment, "a variable to set", isRepeatable: true),
            .init("unset", .text, "a variable to remove", isRepeatable: true),
            .init("nice", .number(-20...19), "added to the nice level"),
        ],
        hints: ["chdir": "write dir=", "directory": "write dir=", "cwd": "write dir="],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> LocalConnector in
        var options = LocalOptions()
        try spec.argument?.checkName("user")
        options.user = spec.argument?.text
        options.directory = spec["dir"]?.text
        options.nice = spec.number("nice") ?? 0
        for entry in spec.all("env") {
            let equals = entry.text.firstIndex(of: "=") ?? entry.text.endIndex
            options.environment[String(entry.text[..<equals])] = String(entry.text[equals...].dropFirst())
        }
        for name in spec.all("unset") {
            guard options.environment[name.text] == nil else { throw name.error("\(name.text) is set already") }
            options.environment[name.text] = .some(nil)
        }
        return LocalConnector(options: options)
    } parts: { connector in
        var parts = SpecParts(connector.options.user)
        parts.add("dir", connector.options.directory)
        for (name, value) in connector.options.environment.sorted(by: { $0.key < $1.key }) {
            if let value { parts.add("env", "\(name)=\(value)") } else { parts.add("unset", name) }
        }
        if connector.options.nice != 0 { parts.add("nice", "\(connector.options.nice)") }
        return parts
    }
}
