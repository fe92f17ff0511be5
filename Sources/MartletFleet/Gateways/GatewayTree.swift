import Martlet

/// Makes the hosts of a group, and of all gateways before them: each gateway once, whoever names it.
struct GatewayTree {
    private let origin: GroupOrigin?
    private let options: GroupOptions
    /// By name. Nothing stands for one that is being made: then it is before itself.
    private var gateways: [String: (spec: MemberSpec, host: GroupHost?)] = [:]

    /// - Parameter origin: where the ways of those begin that are not contexts already.
    init(_ origin: GroupOrigin?, _ options: GroupOptions) { (self.origin, self.options) = (origin, options) }

    /// - Parameter members: each with the name by which nobody else goes.
    /// - Throws: ``MartletError`` `misuse` for gateways that are before themselves, two of one name, or a member that cannot be
    ///   behind any.
    mutating func hosts(_ members: [(name: String, spec: MemberSpec)]) throws -> [GroupHost] {
        try hosts(members, default: options.gateways, path: [])
    }

    private mutating func hosts(
        _ members: [(name: String, spec: MemberSpec)], default common: [MemberSpec], path: [String]
    ) throws -> [GroupHost] {
        // Those with the same gateways share them evenly.
        var parts: [[String]: (gateways: [MemberSpec], members: [Int])] = [:]
        for (index, member) in members.enumerated() {
            let gateways = try Self.gateways(of: member.spec, common).sorted { $0.name < $1.name }
            let part = parts[gateways.map(\.name)]?.gateways ?? gateways
            for (one, other) in zip(part, gateways) { try Self.check(one, other) }
            parts[gateways.map(\.name), default: (gateways, [])].members.append(index)
        }
        var hosts = [GroupHost?](repeating: nil, count: members.count)
        for part in parts.values {
            let path = path + [members[part.members[0]].name]
            let names = part.members.map { members[$0].name }
            let set = part.gateways.isEmpty ? nil : try makeSet(part.gateways, for: names, path)
            for (number, index) in part.members.enumerated() {
                let member = members[index]
                hosts[index] = GroupHost(
                    origin(of: member.spec), member.spec, options,
                    behind: set.map { GatewayPlace(set: $0, member: number, name: member.name) })
            }
        }
        return hosts.map { $0! }
    }

    private func origin(of spec: MemberSpec) -> GroupOrigin {
        if case .context(let context) = spec.way { .context(context) } else { origin! }
    }

    private static func gateways(of member: MemberSpec, _ common: [MemberSpec]) throws -> [MemberSpec] {
        if member.takesGateway {
            var seen: Set<String> = []
            return (member.gateways ?? common).filter { seen.insert($0.name).inserted }
        }
        guard let gateways = member.gateways, !gateways.isEmpty else { return [] }
        throw MartletError(
            .misuse, "\(member.name) cannot be behind a gateway: its own code connects it",
            advice: "name it by a spec or a connector, or give it no gateways")
    }

    private static func check(_ one: MemberSpec, _ other: MemberSpec) throws {
        guard !one.hasSameWay(as: other) else { return }
        throw MartletError(
            .misuse, "two gateways are called \(one.name), and are reached in different ways",
            advice: "give each a name of its own")
    }

    private mutating func makeSet(_ specs: [MemberSpec], for members: [String], _ path: [String]) throws -> GatewaySet {
        let new = specs.filter { gateways[$0.name] == nil }
        for spec in new { gateways[spec.name] = (spec, nil) }
        for (spec, host) in zip(new, try hosts(new.map { ($0.name, $0) }, default: [], path: path)) {
            gateways[spec.name] = (spec, host)
        }
        let hosts = try specs.map { spec in
            let known = gateways[spec.name]!
            try Self.check(known.spec, spec)
            guard let host = known.host else {
                throw MartletError(
                    .misuse, "a gateway cannot be before itself: \((path + [spec.name]).joined(separator: " via "))")
            }
            return (spec.name, host)
        }
        return GatewaySet(hosts, members: members)
    }
}
