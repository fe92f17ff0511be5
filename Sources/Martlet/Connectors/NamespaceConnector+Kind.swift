extension NamespaceConnector {
    /// `nsenter:4711?namespace=net`, `nsenter:web?of=docker`.
    public static let kind = ConnectorKind(
        "nsenter",
        "the namespaces of a process, or of a container's first one",
        argument: .required("pid|container"),
        options: [
            .init(
                .init("of", .choice(Manager.allCases.map(\.rawValue)), "whose container it is"),
                write: { $1.add("of", $0.manager?.rawValue) }),
            .init(
                .init(
                    "namespace", .choice(Namespace.allCases.map(\.rawValue)), "only this one", isRepeatable: true)
            ) { spec, connector in
                let namespaces = spec.all("namespace").compactMap { Namespace(rawValue: $0.text) }
                if !namespaces.isEmpty { connector.namespaces = Set(namespaces) }
            } write: { connector, parts in
                for name in (connector.namespaces ?? []).map(\.rawValue).sorted() { parts.add("namespace", name) }
            },
            .number("uid", \.userID, "the user id there"),
            .number("gid", \.groupID, "the group id there"),
            .assignments("env", \.environment, "a variable to set"),
            .program("nsenter", \.program),
        ],
        staysOnMachine: true
    ) { (spec: SpecReader) throws(SpecError) -> NamespaceConnector in
        if let manager = spec["of"].flatMap({ Manager(rawValue: $0.text) }) {
            return NamespaceConnector(leaderOf: try spec.name("container"), in: manager)
        }
        guard let pid = Int32(spec.place.text), pid > 0 else {
            throw spec.place.error("this is not the number of a process", advice: "for a container add of=docker")
        }
        return NamespaceConnector(pid: pid)
    } written: {
        $0.container ?? $0.pid.map(String.init)
    }
}
