public import Martlet

/// How a member of a group is reached, and what it is called. Nothing is started before it is needed.
public struct MemberSpec: Sendable {
    /// Where the way to it begins.
    enum Way: Sendable {
        /// Through these, one after the other.
        case connectors([any Connector])
        /// It is there already.
        case context(Context)
        /// By code of the caller's.
        case custom(Connect, takesGateway: Bool)
    }

    /// Code that connects a member, through a gateway if it is behind one.
    package typealias Connect =
        @Sendable (
            _ gateway: Context?, _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?
        ) async throws -> Context

    /// What it is called. `nil`: a name was not given, and the way in says it.
    let givenName: String?
    let way: Way
    /// What is known of it; see ``Inventory``.
    public var variables: [String: InventoryValue] = [:]
    /// It is reached through any one of these, which is chosen by itself: its own spec then begins on the gateway's machine,
    /// with the files and the `ssh_config` that are there. Gateways may be behind gateways of their own; each is known by its
    /// name, and is connected once. Empty: it is reached from where the group begins. `nil`: as ``GroupOptions/gateways`` says.
    public var gateways: [MemberSpec]?
    private let label: String

    /// The name of its host.
    public var name: String { givenName ?? label }

    /// A member by a spec: `web1`, `ssh:bastion/ssh:db1/sudo:postgres`, `local?nice=5`; see ``RouteSpec``.
    ///
    /// - Parameter name: what it is called. Default: the spec without options; then several may have the same.
    /// - Throws: ``SpecError`` if the spec is none.
    public init(
        _ spec: String, name: String? = nil, kinds: [ConnectorKind] = ConnectorKind.all
    ) throws(SpecError) {
        let route = try RouteSpec(spec, kinds: kinds)
        let hasOptions = route.hops.contains { !$0.options.isEmpty }
        label = hasOptions ? route.hops.map(\.label).joined(separator: "/") : spec
        givenName = name
        way = .connectors(route.hops.map(\.connector))
    }

    /// A member by its way in.
    public init(_ connector: some Connector, name: String? = nil) {
        self.init(through: [connector], name: name)
    }

    /// A member at the end of several ways in, one through the other; at least one.
    package init(through connectors: [any Connector], name: String? = nil) {
        precondition(!connectors.isEmpty, "MemberSpec: a way needs at least one connector")
        label = connectors.map(\.label).joined(separator: "/")
        givenName = name
        way = .connectors(connectors)
    }

    /// A member that is connected already. It is not connected anew when it is lost.
    public init(_ context: Context, name: String? = nil) {
        label = context.route.steps.joined(separator: "/")
        givenName = name
        way = .context(context)
    }

    /// A member that `connect` reaches, each time that it has to be.
    ///
    /// - Parameter connect: told whom to tell of the connect's phases.
    public init(
        name: String,
        connect:
            @escaping @Sendable (
                _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?
            ) async throws -> Context
    ) {
        (label, givenName) = (name, name)
        way = .custom({ _, onPhase in try await connect(onPhase) }, takesGateway: false)
    }

    /// A member that `connect` reaches, through one of these gateways, if there are any.
    package init(name: String, behind gateways: [MemberSpec], connect: @escaping Connect) {
        (label, givenName) = (name, name)
        way = .custom(connect, takesGateway: true)
        self.gateways = gateways
    }

    /// Whether it can be behind a gateway.
    var takesGateway: Bool {
        switch way {
        case .connectors, .custom(_, takesGateway: true): true
        case .context, .custom: false
        }
    }

    /// As far as it can be told.
    func hasSameWay(as other: MemberSpec) -> Bool { label == other.label }
}
