public import Martlet

/// A host of an inventory, with all that holds for it.
public struct InventoryHost: Sendable, Hashable {
    /// What it is called.
    public let name: String
    /// How it is reached.
    public let spec: String
    /// What is known of it, from all groups that it is in.
    public let variables: [String: InventoryValue]
    /// The groups that it is in, outermost first: in the order in which their variables count.
    public let groups: [String]

    /// As a member of a group.
    ///
    /// - Throws: ``SpecError`` if the spec is none.
    public func member(kinds: [ConnectorKind] = ConnectorKind.all) throws(SpecError) -> MemberSpec {
        var member = try MemberSpec(spec, name: name, kinds: kinds)
        member.variables = variables
        return member
    }
}

extension Inventory {
    /// The hosts that an expression names: `@web!web03`, `@site&@eu`, `web[01-05] other.example`; see ``NodeSet``.
    ///
    /// Hosts that the inventory does not have are taken as they are named. `@*`: all that it has.
    ///
    /// - Returns: in the order in which they are named.
    /// - Throws: ``SpecError`` for what is no expression, or a group that is not there, with the nearest name; ``InventoryError``
    ///   if the inventory itself is wrong, as ``check()``.
    public func select(_ expression: String) throws -> [InventoryHost] {
        let index = try InventoryIndex(self)
        let names = try NodeSet(expression) { (name) throws(SpecError) in
            if let nodes = index.nodes(of: name) { return nodes }
            throw Self.unknown(name, in: expression, among: index.groupNames)
        }
        return try names.map { try index.host($0) }
    }

    /// All hosts that it has, by their names.
    ///
    /// - Throws: ``InventoryError``, as ``check()``.
    public func allHosts() throws -> [InventoryHost] { try select("@*") }

    /// Looks whether everything in it makes sense: node sets, groups that are named, groups that contain themselves, specs.
    ///
    /// - Throws: ``InventoryError`` that names the place.
    public func check() throws {
        let index = try InventoryIndex(self)
        for name in index.nodes(of: "*") ?? [] {
            let host = try index.host(name)
            do { _ = try host.member() } catch {
                throw InventoryError(
                    hosts[name]?.spec == nil ? "hosts.\(name)" : "hosts.\(name).spec", error.description)
            }
        }
    }

    private static func unknown(_ name: String, in text: String, among known: [String]) -> SpecError {
        let spec = Array(text.unicodeScalars)
        let mark = Array("@\(name)".unicodeScalars)
        let start = spec.indices.first { spec[$0...].starts(with: mark) } ?? spec.firstIndex(of: "@") ?? 0
        return SpecError(
            .unknownGroup, "there is no group \"\(name)\"", in: spec, at: start..<min(spec.count, start + mark.count),
            suggestion: NearestWord.of(name, among: known).map { "@\($0)" },
            advice: known.isEmpty ? "the inventory has no groups" : nil)
    }
}

extension Controller {
    /// A group of hosts of an inventory: `martlet.group(try inventory.select("@web"))`. Its members are called as the hosts are.
    ///
    /// - Throws: ``SpecError`` if a spec is none.
    public func group(_ hosts: [InventoryHost], options: GroupOptions = .init()) throws -> MartletFleet.Group {
        try group(hosts.map { try $0.member(kinds: options.kinds) }, options: options)
    }
}

/// An inventory whose groups are resolved.
struct InventoryIndex {
    private let inventory: Inventory
    /// The hosts of each group, those of its groups included.
    private var members: [String: NodeSet] = [:]
    /// How many groups are around each at most.
    private var depths: [String: Int] = [:]
    private let all: NodeSet
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

    /// - Throws: ``InventoryError`` for a variable that its spec wants and that is not there.
    func host(_ name: String) throws -> InventoryHost {
        let groups = groupNames.filter { members[$0]!.contains(name) }.sorted { first, second in
            let (a, b) = (inventory.groups[first]!, inventory.groups[second]!)
            return (depths[first]!, a.priority, first) < (depths[second]!, b.priority, second)
        }
        var variables = inventory.variables
        var spec = inventory.spec
        for group in groups {
            variables.merge(inventory.groups[group]!.variables) { $1 }
            spec = inventory.groups[group]!.spec ?? spec
        }
        if let host = inventory.hosts[name] {
            variables.merge(host.variables) { $1 }
            spec = host.spec ?? spec
        }
        return InventoryHost(
            name: name, spec: try Self.filled(spec ?? "{host}", name, variables), variables: variables, groups: groups)
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
