import Martlet
import MartletFleet
import MartletPython

/// One of the hosts of a command, with its place in the list: a host that is named twice is there twice.
struct Host: Sendable, Hashable {
    var index: Int
    var name: HostName
    /// How it is called in what is printed: its own label, with a number if that is there more than once.
    var label: String

    /// Who it is in a group.
    var member: GroupMember { GroupMember(label) }

    static func list(_ names: [HostName]) -> [Host] {
        var total: [String: Int] = [:]
        let labels = names.map(\.label)
        for label in labels { total[label, default: 0] += 1 }
        var seen: [String: Int] = [:]
        return zip(names, labels).enumerated().map { index, entry in
            let (name, label) = entry
            seen[label, default: 0] += 1
            return Host(index: index, name: name, label: total[label]! > 1 ? "\(label)#\(seen[label]!)" : label)
        }
    }
}

/// How hosts are reached: what holds for all of a command, where a host does not say otherwise.
struct WayIn: Sendable {
    /// The hops before those of each host.
    var via: RouteSpec?
    var user: String?
    var identity: String?
    var configuration: String?
    var options: [String] = []
    var connect = ConnectOptions()
    /// What runs there instead of the agent.
    var python: PythonRuntime?
    /// The last hop on each host.
    var become: SudoConnector?
    var prompts: (any PromptResponder)?
    /// What to try when the host has no place for the agent under the policy of ``connect``.
    var retryPolicy: ImagePolicy?
    /// Where the hops of `via` lead to, if it is connected already.
    private var gateway: Context?
    /// What a hub does may be done there.
    var mayUseHub = false
    /// Our context in the hub that is to do it.
    private(set) var hub: Context?

    init(
        via: RouteSpec? = nil, user: String? = nil, identity: String? = nil, configuration: String? = nil,
        options: [String] = []
    ) {
        (self.via, self.user, self.identity, self.configuration) = (via, user, identity, configuration)
        self.options = options
    }

    /// All hops to a host.
    func route(to host: HostName) -> RouteSpec { via?.appending(host.route) ?? host.route }

    /// What is connected, one through the other. Our user and options are for every ssh; a key and a configuration only for
    /// one that starts on this machine, as they are files here.
    func connectors(to host: HostName) -> [any Connector] {
        connectors(route(to: host).hops) + (become.map { [$0] } ?? [])
    }

    private func connectors(_ hops: [ConnectorSpec]) -> [any Connector] {
        var isHere = gateway == nil || via != nil
        return hops.map { hop in
            defer { isHere = isHere && hop.staysOnMachine }
            guard var ssh = hop.connector as? SSHConnector else { return hop.connector }
            ssh.user = ssh.user ?? user
            // Of an option that is there twice ssh takes the first.
            ssh.options += options
            if isHere {
                ssh.identity = ssh.identity ?? identity
                ssh.configuration = ssh.configuration ?? configuration
            }
            return ssh
        }
    }

    /// Whether a program of this machine's ssh is run on the way.
    func startsSSHHere(to host: HostName) -> Bool {
        let hops = route(to: host).hops
        return (hops.first { !$0.staysOnMachine } ?? hops[0]).kind == "ssh"
    }

    /// The same way through a context at the end of `via`.
    func through(_ gateway: Context) -> WayIn {
        var way = self
        way.gateway = gateway
        return way
    }

    /// The same way, with what all hosts have in common: the hub, if it may be used and is there, or else the hops of `via`,
    /// connected once.
    ///
    /// - Returns: also the context that is the caller's to close; `nil` where there is nothing to share.
    func sharing(
        _ controller: Controller, _ output: Output, among hosts: [HostName]
    ) async throws -> (WayIn, Context?) {
        var shared = self
        if mayUseHub, entrances(to: hosts).contains(where: { (try? HubTarget($1, $0)) != nil }),
            let hub = await HubFinder.hub(controller, output)
        {
            shared.hub = hub
            return (shared, hub)
        }
        guard let via, gateway == nil, hosts.count > 1 else { return (self, nil) }
        let connectors = connectors(via.hops)
        shared.gateway = try await retrying(connect) {
            try await controller.connect(through: connectors, options: $0, prompts: prompts, onPhase: nil)
        }
        return (shared, shared.gateway)
    }

    /// - Parameter onPhase: as that of ``Controller/connect(_:options:prompts:onPhase:)``.
    func connect(
        _ controller: Controller,
        to host: HostName,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        if gateway == nil, let hub, let target = try? HubTarget(self, host) {
            return try await hub.connect(through: [HubConnector(target: target)], options: connect, onPhase: onPhase)
        }
        let connectors = connectors(to: host)
        return try await retrying(try python.map { try controller.options(connect, running: $0) } ?? connect) {
            guard let gateway else {
                return try await controller.connect(
                    through: connectors, options: $0, prompts: prompts, onPhase: onPhase)
            }
            return try await gateway.connect(
                through: Array(connectors.dropFirst(via?.hops.count ?? 0)), options: $0, prompts: prompts,
                onPhase: onPhase)
        }
    }

    /// A host as a member of a group: behind the gateways that the inventory gives it, unless `via` says another way.
    ///
    /// - Parameter opened: this way, with what hosts share.
    func member(
        _ name: String, _ host: HostName, _ controller: Controller,
        _ opened: @escaping @Sendable () async throws -> WayIn
    ) -> MemberSpec {
        let gateways = via == nil ? host.gateways : []
        return MemberSpec(
            name: name,
            behind: gateways.map { member($0.label, $0, controller) { try await opened().toGateway } }
        ) { gateway, onPhase in
            let way = try await opened()
            return try await (gateway.map(way.through) ?? way).connect(controller, to: host) { _, phase, time in
                onPhase?(phase, time)
            }
        }
    }

    /// What is connected from here, each once, with the way to it: hosts, or, where they are behind gateways, those.
    func entrances(to hosts: [HostName]) -> [(HostName, WayIn)] {
        var entrances: [(HostName, WayIn)] = []
        var gateways: Set<HostName> = []
        for host in hosts {
            guard via == nil, !host.gateways.isEmpty else {
                entrances.append((host, self))
                continue
            }
            entrances += toGateway.entrances(to: host.gateways).filter { gateways.insert($0.0).inserted }
        }
        return entrances
    }

    /// What is before a host is neither another user there, nor another runtime.
    private var toGateway: WayIn {
        var way = self
        (way.become, way.python) = (nil, nil)
        return way
    }

    /// Connects the one host of a command.
    func connectAlone(_ controller: Controller, _ output: Output, to host: HostName) async throws -> Context {
        let (way, _) = try await sharing(controller, output, among: [host])
        let group = try controller.group([member(host.label, host, controller) { way }])
        return try await group.context(of: group[0])
    }

    private func retrying(
        _ options: ConnectOptions, _ connect: (ConnectOptions) async throws -> Context
    ) async throws -> Context {
        do { return try await connect(options) } catch let error as MartletError where error.code == .noPlace {
            guard let retryPolicy else { throw error }
            var options = options
            options.policy = retryPolicy
            return try await connect(options)
        }
    }
}
