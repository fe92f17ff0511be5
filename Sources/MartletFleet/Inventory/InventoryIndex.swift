import Martlet

/// An inventory whose groups are resolved.
struct InventoryIndex {
    private let inventory: Inventory
    /// The hosts of each group, those of its groups included.
    private var members: [String: NodeSet] = [:]
    /// How many groups are around each at most.
    private var depths: [String: Int] = [:]
    private let all: NodeSet
    private var known: [String: InventoryHost] = [:]
    let groupNames: [String]
    /// How deep groups may contain each other.
    private static let depthLimit = 100

    init(_ inventory: Inventory) throws {
        self.inventory = inventory
        groupNames = inventory.groups.keys.sorted()
        var path: [String] = []
        var found: [String: NodeSet] = [:]
        for name in groupNames { _ = try Self.resolve(name, inventory, &found, &path, "groups.\(name)") }
        members = found
        all = NodeSet(groupNames.flatMap { found[$0]!.names } + inventory.hosts.keys.sorted())
        var outer: [String: [String]] = [:]
        for name in groupNames {
            for inner in inventory.groups[name]!.groups { outer[inner, default: []].append(name) }
        }
        for name in groupNames { _ = Self.depth(of: name, outer, &depths) }
    }

    /// - Parameters:
    ///   - path: the groups that lead to this one.
    ///   - place: where it is named.
    private static func resolve(
        _ name: String, _ inventory: Inventory, _ found: inout [String: NodeSet], _ path: inout [String],
        _ place: String
    ) throws -> NodeSet {
        if let members = found[name] { return members }
        guard let group = inventory.groups[name] else {
            let nearest = NearestWord.of(name, among: inventory.groups.keys.sorted())
            throw InventoryError(
                place, "there is no group \"\(name)\"" + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
        if let start = path.firstIndex(of: name) {
            let circle = (path[start...] + [name]).joined(separator: " contains ")
            throw InventoryError(place, "a group cannot contain itself: \(circle)")
        }
        guard path.count < depthLimit else {
            throw InventoryError(place, "groups contain each other more than \(depthLimit) deep")
        }
        path.append(name)
        defer { path.removeLast() }
        var members = NodeSet()
        for (index, child) in group.groups.enumerated() {
            members.add(try resolve(child, inventory, &found, &path, "groups.\(name).groups[\(index)]"))
        }
        for (index, expression) in group.hosts.enumerated() {
            let place = "groups.\(name).hosts[\(index)]"
            var cause: (any Error)?
            // What stands first may say what is taken of those that are there.
            let first = expression.drop(while: \.isWhitespace).first
            let operation = first.flatMap { "!&^".contains($0) ? $0 : nil }
            let rest = operation == nil ? expression : String(expression.drop(while: \.isWhitespace).dropFirst())
            let set: NodeSet
            do {
                set = try NodeSet(rest) { (child) throws(SpecError) in
                    do {
                        return try resolve(child, inventory, &found, &path, place).names
                    } catch {
                        cause = error
                        return nil
                    }
                }
            } catch {
                throw cause ?? InventoryError(place, error.description)
            }
            switch operation {
            case "!": members = members.subtracting(set)
            case "&": members = members.intersection(set)
            case "^": members = members.symmetricDifference(set)
            default: members.add(set)
            }
            guard members.count <= NodePattern.limit else {
                throw InventoryError(place, "the group has more than \(NodePattern.limit) hosts")
            }
        }
        found[name] = members
        return members
    }

    /// There are no circles by now.
    private static func depth(of name: String, _ outer: [String: [String]], _ depths: inout [String: Int]) -> Int {
        if let depth = depths[name] { return depth }
        var depth = 0
        for group in outer[name] ?? [] { depth = max(depth, self.depth(of: group, outer, &depths) + 1) }
        depths[name] = depth
        return depth
    }

    func nodes(of group: String) -> [String]? { group == "*" ? all.names : members[group]?.names }

    /// - Throws: ``InventoryError`` for a variable that its spec wants and that is not there, and for gateways that cannot be.
    mutating func host(_ name: String) throws -> InventoryHost { try host(name, []) }

    /// - Parameter path: those that it is a gateway to.
    private mutating func host(_ name: String, _ path: [String]) throws -> InventoryHost {
        if let host = known[name] { return host }
        let groups = groupNames.filter { members[$0]!.contains(name) }.sorted { first, second in
            let (a, b) = (inventory.groups[first]!, inventory.groups[second]!)
            return (depths[first]!, a.priority, first) < (depths[second]!, b.priority, second)
        }
        var variables = inventory.variables
        var spec = inventory.spec
        var via = inventory.via.map { (names: $0, place: "via") }
        for group in groups {
            variables.merge(inventory.groups[group]!.variables) { $1 }
            spec = inventory.groups[group]!.spec ?? spec
            via = inventory.groups[group]!.via.map { (names: $0, place: "groups.\(group).via") } ?? via
        }
        if let host = inventory.hosts[name] {
            variables.merge(host.variables) { $1 }
            spec = host.spec ?? spec
            via = host.via.map { (names: $0, place: "hosts.\(name).via") } ?? via
        }
        var gateways: [InventoryHost]?
        if let via {
            gateways = try via.names.flatMap { text in
                let text = try Self.filled(text, name, variables)
                return try gatewayNames(text, via.place).map { try gateway($0, path + [name], via.place) }
            }
        }
        let host = InventoryHost(
            name: name, spec: try Self.filled(spec ?? "{host}", name, variables), variables: variables, groups: groups,
            gateways: gateways)
        known[name] = host
        return host
    }

    private func gatewayNames(_ text: String, _ place: String) throws -> [String] {
        do {
            guard text.hasPrefix("@") else { return try NodePattern.expand(text) }
            return try NodeSet(text) { name throws(SpecError) in nodes(of: name) }.names
        } catch {
            throw InventoryError(place, error.description)
        }
    }

    private mutating func gateway(_ name: String, _ path: [String], _ place: String) throws -> InventoryHost {
        guard all.contains(name) else {
            // A spec that stands there itself begins here.
            return InventoryHost(name: name, spec: name, variables: [:], groups: [], gateways: [])
        }
        if let start = path.firstIndex(of: name) {
            let circle = (path[start...] + [name]).joined(separator: " via ")
            throw InventoryError(
                place, "a gateway cannot be before itself: \(circle); let the outermost have via = []")
        }
        guard path.count < Self.depthLimit else {
            throw InventoryError(place, "gateways are before each other more than \(Self.depthLimit) deep")
        }
        return try host(name, path)
    }

    private static func filled(
        _ spec: String, _ host: String, _ variables: [String: InventoryValue]
    ) throws -> String {
        var result = ""
        var rest = spec[...]
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            guard let close = rest[open...].firstIndex(of: "}") else { break }
            let name = String(rest[rest.index(after: open)..<close])
            if name == "host" {
                result += host
            } else if let value = variables[name]?.text {
                result += value
            } else {
                let what = variables[name] == nil ? "there is no variable" : "a list or a table cannot stand for"
                throw InventoryError("hosts.\(host)", "the spec \(spec): \(what) {\(name)}")
            }
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }
}
