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
    /// It is reached through any one of these; empty: from here. `nil`: nothing says it.
    public let gateways: [InventoryHost]?

    /// As a member of a group.
    ///
    /// - Throws: ``SpecError`` if the spec is none.
    public func member(kinds: [ConnectorKind] = ConnectorKind.all) throws(SpecError) -> MemberSpec {
        var member = try MemberSpec(spec, name: name, kinds: kinds)
        member.variables = variables
        if let gateways {
            var list: [MemberSpec] = []
            for gateway in gateways { list.append(try gateway.member(kinds: kinds)) }
            member.gateways = list
        }
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
    ///   if the inventory itself is wrong, as ``check(kinds:)``.
    public func select(_ expression: String) throws -> [InventoryHost] {
        var index = try InventoryIndex(self)
        let names = try NodeSet(expression) { [index] (name) throws(SpecError) in
            if let nodes = index.nodes(of: name) { return nodes }
            throw Self.unknown(name, in: expression, among: index.groupNames)
        }
        return try names.map { try index.host($0) }
    }

    /// All hosts that it has, by their names.
    ///
    /// - Throws: ``InventoryError``, as ``check(kinds:)``.
    public func allHosts() throws -> [InventoryHost] { try select("@*") }

    /// Looks whether everything in it makes sense: node sets, groups that are named, groups that contain themselves, specs,
    /// gateways that are before themselves.
    ///
    /// - Parameter kinds: what the specs may name. Default: ``ConnectorKind/all``.
    /// - Throws: ``InventoryError`` that names the place.
    public func check(kinds: [ConnectorKind] = ConnectorKind.all) throws {
        var index = try InventoryIndex(self)
        for name in index.nodes(of: "*") ?? [] {
            let host = try index.host(name)
            do { _ = try host.member(kinds: kinds) } catch {
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
