import Martlet

/// What an operation works on.
enum OperationTarget {
    case context(Connection, name: String)
    case mock(MockHost)

    /// The host that is set, as the user that is set; it is connected if need be.
    init(_ settings: Settings) async throws {
        guard let host = settings[HostKey.self] else {
            throw OperationError(
                .noHost, "there is no host for this operation",
                advice: "name one for a scope, withSettings(.host(\"web1\")) { }, or for the operation, .host(\"web1\")"
            )
        }
        self = try await Self.open(host, settings, sudo: settings[SudoKey.self])
    }

    /// This machine, as the user that is set.
    static func local(_ settings: Settings) async throws -> OperationTarget {
        if case .mock(let mock)? = settings[LocalMockKey.self]?.way { return .mock(mock) }
        return try await open(.local, settings, sudo: settings[SudoKey.self])
    }

    private static func open(
        _ host: OperationHost, _ settings: Settings, sudo: SudoAccount?
    ) async throws -> OperationTarget {
        var options = ConnectOptions()
        if let limit = settings[ConnectTimeoutKey.self] { options.deadline = limit }
        let base: Connection
        let key: ConnectionKey
        switch host.way {
        case .mock(let mock): return .mock(mock)
        case .context(let context):
            key = ConnectionKey(context)
            base = Connection(context)
        case .spec, .connectors:
            let connectors = try host.connectors(settings)
            key = try ConnectionKey(connectors)
            base = try await connections(settings, host).connection(through: connectors, options)
        }
        guard let sudo else { return .context(base, name: host.name) }
        var connector = SudoConnector(user: sudo.user, password: settings[SudoPasswordKey.self])
        connector.group = sudo.group
        let connection = try await connections(settings, host).connection(
            from: base.context, key, by: connector, options)
        return .context(connection, name: host.name)
    }

    private static func connections(_ settings: Settings, _ host: OperationHost) throws -> Connections {
        guard let connections = settings[ConnectionsKey.self] else {
            throw OperationError(
                .misuse, "nobody owns the connection to \(host.name)", host: host.name,
                advice: "put the operations into withOperations { }")
        }
        return connections
    }
}

enum LocalMockKey: SettingKey { typealias Value = OperationHost }
