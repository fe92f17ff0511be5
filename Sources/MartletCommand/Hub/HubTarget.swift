import Martlet

/// What of a host and the way to it decides which context of the hub is meant.
struct HubTarget: Codable, Hashable, Sendable {
    /// The hops before the host, as a spec; `nil`: none.
    var via: String?
    var host: String
    var user: String?
    var identity: String?
    var configuration: String?
    var options: [String] = []
    /// The last hop is sudo.
    var becomes = false
    var sudoUser: String?
    var policy: String
    /// For a connect.
    var deadline: Duration

    /// - Throws: ``HubRefusal`` if the hub could not do it as we would.
    init(_ way: WayIn, _ host: HostName) throws(HubRefusal) {
        if let refusal = HubRefusal(way, host) { throw refusal }
        via = way.via?.description
        self.host = host.route.description
        user = way.user
        identity = way.identity.map(SystemCalls.absolute)
        configuration = way.configuration.map(SystemCalls.absolute)
        options = way.options
        if let become = way.become { (becomes, sudoUser) = (true, become.user) }
        policy = way.connect.policy.rawValue
        deadline = way.connect.deadline
    }

    /// The context that the hops before the host lead to.
    var gateway: HubTarget? {
        guard let via else { return nil }
        var gateway = self
        (gateway.via, gateway.host, gateway.becomes, gateway.sudoUser) = (nil, via, false, nil)
        return gateway
    }

    /// - Throws: ``SpecError``, which what the command line has read does not make.
    func wayIn() throws -> (WayIn, HostName) {
        let route = try via.map { try RouteSpec($0, kinds: ConnectorKind.ofCommandLine) }
        var way = WayIn(via: route, user: user, identity: identity, configuration: configuration, options: options)
        way.connect.deadline = deadline
        way.connect.policy = ImagePolicy(rawValue: policy) ?? .disk
        if becomes { way.become = SudoConnector(user: sudoUser) }
        return (way, try HostName(host))
    }

    /// How long a connect may take does not tell one context from another.
    static func == (a: HubTarget, b: HubTarget) -> Bool { a.identifying == b.identifying }
    func hash(into hasher: inout Hasher) { hasher.combine(identifying) }

    private var identifying: [String?] {
        [via, host, user, identity, configuration, becomes ? "sudo" : nil, sudoUser, policy] + options
    }

    /// The host, for people.
    var hostLabel: String {
        let name = host.hasPrefix("ssh:") && via == nil ? String(host.dropFirst("ssh:".count)) : host
        return name + (becomes ? "/sudo" + (sudoUser.map { ":\($0)" } ?? "") : "")
    }

    /// All of it, for people.
    var label: String { (via.map { "\($0)/" } ?? "") + hostLabel }
}
