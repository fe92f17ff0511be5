public import Martlet

/// Where operations happen: a host by its spec, by connectors, as an open context, or one that is none.
///
/// It is a name only: nothing is connected before the first operation. See ``withOperations(_:options:_:)``.
public struct OperationHost: Sendable {
    enum Way: Sendable {
        case spec(String)
        case connectors([any Connector])
        case context(Context)
        case mock(MockHost)
    }

    let way: Way
    /// What templates and results call it.
    public var name: String

    /// A host by its spec: `web1`, `ssh:root@web1:2222`, `ssh:bastion/ssh:db1`, `local`.
    public init(_ spec: String) { (way, name) = (.spec(spec), spec) }

    /// A host by a connector.
    ///
    /// - Parameter name: default: the connector's label.
    public init(_ connector: some Connector, name: String? = nil) {
        (way, self.name) = (.connectors([connector]), name ?? connector.label)
    }

    /// A context that is open already. It is used, and not closed.
    ///
    /// - Parameter name: default: the last step of its route.
    public init(_ context: Context, name: String? = nil) {
        (way, self.name) = (.context(context), name ?? context.route.steps.last ?? "\(context.route)")
    }

    private init(_ way: Way, _ name: String) { (self.way, self.name) = (way, name) }

    /// This machine.
    public static let local = OperationHost("local")

    /// A host that is none, for tests.
    public static func mock(_ mock: MockHost) -> OperationHost { OperationHost(.mock(mock), mock.name) }
}

extension OperationHost: ExpressibleByStringLiteral, CustomStringConvertible {
    /// A host by its spec.
    public init(stringLiteral spec: String) { self.init(spec) }
    /// Its name.
    public var description: String { name }
}

extension OperationHost {
    /// The ways in, one through the other, with what the settings know of accounts.
    ///
    /// - Throws: `SpecError` if the spec is none.
    func connectors(_ settings: Settings) throws -> [any Connector] {
        switch way {
        case .connectors(let connectors): connectors
        case .spec(let spec): Self.completing(try RouteSpec(spec).hops.map(\.connector), settings)
        case .context, .mock: []
        }
    }

    private static func completing(_ connectors: [any Connector], _ settings: Settings) -> [any Connector] {
        var result = connectors
        // The account is for where the route leads, not for what it leads through.
        if let index = result.lastIndex(where: { $0 is SSHConnector }), var ssh = result[index] as? SSHConnector {
            if ssh.user == nil, !ssh.host.contains("@") { ssh.user = settings[UserKey.self] }
            ssh.port = ssh.port ?? settings[PortKey.self]
            ssh.identity = ssh.identity ?? settings[IdentityKey.self]
            result[index] = ssh
        }
        // The file is on this machine.
        if var ssh = result.first as? SSHConnector {
            ssh.configuration = ssh.configuration ?? settings[SSHConfigurationKey.self]
            result[0] = ssh
        }
        return result
    }
}

/// Whose rights operations have, by sudo.
struct SudoAccount: Hashable, Sendable {
    /// `nil`: root.
    var user: String?
    var group: String?
}
