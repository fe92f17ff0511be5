extension LocalConnector {
    /// `local?dir=/srv&nice=5`.
    public static let kind = ConnectorKind(
        "local",
        "a process of its own on the same machine",
        argument: .optional("user"),
        options: [
            .path("dir", \.options.directory, "the directory to start in"),
            .init(.init("env", .assignment, "a variable to set", isRepeatable: true)) {
                $1.options.environment = $0.assignments("env").mapValues { $0 }
            } write: { connector, parts in
                // Those to remove as well, in the order of all names.
                for (name, value) in connector.options.environment.sorted(by: { $0.key < $1.key }) {
                    if let value { parts.add("env", "\(name)=\(value)") } else { parts.add("unset", name) }
                }
            },
            .init(
                .init("unset", .text, "a variable to remove", isRepeatable: true),
                read: { spec, connector throws(SpecError) in
                    for name in spec.all("unset") {
                        guard connector.options.environment[name.text] == nil else {
                            throw name.error("\(name.text) is set already")
                        }
                        connector.options.environment[name.text] = .some(nil)
                    }
                }),
            .init(.init("nice", .number(-20...19), "added to the nice level")) {
                $1.options.nice = $0.number("nice") ?? 0
            } write: {
                if $0.options.nice != 0 { $1.add("nice", "\($0.options.nice)") }
            },
        ],
        hints: ["chdir": "write dir=", "directory": "write dir=", "cwd": "write dir="],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> LocalConnector in
        var options = LocalOptions()
        options.user = try spec.optionalName("user")
        return LocalConnector(options: options)
    } written: {
        $0.options.user
    }
}
