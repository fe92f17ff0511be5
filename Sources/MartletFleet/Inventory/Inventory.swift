import Martlet

/// Hosts by name, in groups, with what is known of them.
///
/// As a file, in whatever coder's format (here TOML):
///
///     variables = { user = "deploy" }
///     [groups.web]
///     hosts = ["web[01-20]", "!web13"]
///     spec = "ssh:bastion/ssh:{user}@{host}"
///     [groups.site]
///     groups = ["web", "db"]
///     [groups.rack7]
///     hosts = ["node[001-100]"]
///     via = ["gw[1-2]"]
///     [hosts.db1]
///     spec = "ssh:root@10.0.0.5"
///     variables = { role = "primary" }
///
/// **Which variable counts**: of what is set more than once, the last of: the inventory's own; those of groups, from the
/// outermost to the innermost; of groups as deep as each other those of lower `priority` first, then by name; the host's own.
/// The spec goes the same way.
///
/// **Specs**: `{host}` in a spec stands for the host's name, `{NAME}` for a variable that is a text, a number or a boolean. A
/// host without any spec is reached by its name, as with `-H`.
///
/// **Gateways**: `via` names hosts of the inventory, or specs, with ranges, `@group` and `{NAME}` as above; or one of them without
/// the list. A host is reached through any one of those, which is chosen by itself (``MemberSpec/gateways``), and its own spec
/// begins on that machine: `ssh:{host}` is the gateway's ssh, with the gateway's `ssh_config`. A gateway's own entry says how that
/// is reached, and may have a `via` too. What counts goes the same way as specs; `via = []`: from here, whatever groups say.
public struct Inventory: Sendable, Hashable {
    /// Several hosts.
    public struct Group: Sendable, Hashable {
        /// Node sets, one joined to the other: `["web[01-20]", "!web13", "@db"]`.
        public var hosts: [String]
        /// Names of groups whose hosts are in this one too.
        public var groups: [String]
        /// What is known of its hosts.
        public var variables: [String: InventoryValue]
        /// How its hosts are reached.
        public var spec: String?
        /// Through which hosts, any one of them. `nil`: it does not say.
        public var via: [String]?
        /// Of groups as deep as each other the one with the highest counts. Default: 0.
        public var priority: Int

        /// A group.
        public init(
            hosts: [String] = [], groups: [String] = [], variables: [String: InventoryValue] = [:],
            spec: String? = nil, via: [String]? = nil, priority: Int = 0
        ) {
            (self.hosts, self.groups, self.variables) = (hosts, groups, variables)
            (self.spec, self.via, self.priority) = (spec, via, priority)
        }
    }

    /// One host.
    public struct Host: Sendable, Hashable {
        /// What is known of it.
        public var variables: [String: InventoryValue]
        /// How it is reached.
        public var spec: String?
        /// Through which hosts, any one of them. `nil`: it does not say.
        public var via: [String]?

        /// A host.
        public init(spec: String? = nil, variables: [String: InventoryValue] = [:], via: [String]? = nil) {
            (self.spec, self.variables, self.via) = (spec, variables, via)
        }
    }

    /// By name.
    public var groups: [String: Group]
    /// By name: those of which something is known besides the groups that they are in.
    public var hosts: [String: Host]
    /// What is known of all hosts.
    public var variables: [String: InventoryValue]
    /// How hosts are reached of which nothing else says it.
    public var spec: String?
    /// Through which hosts those are reached of which nothing else says it. `nil`: from here.
    public var via: [String]?

    /// An inventory; see ``check(kinds:)``.
    public init(
        groups: [String: Group] = [:], hosts: [String: Host] = [:], variables: [String: InventoryValue] = [:],
        spec: String? = nil, via: [String]? = nil
    ) {
        (self.groups, self.hosts, self.variables, self.spec) = (groups, hosts, variables, spec)
        self.via = via
    }
}

/// What is wrong with an inventory, and where.
public struct InventoryError: Error, Hashable, CustomStringConvertible {
    /// Where: `groups.web.hosts[2]`; empty: in all of it.
    public let path: String
    /// What is wrong.
    public let message: String

    init(_ path: String, _ message: String) { (self.path, self.message) = (path, message) }

    /// What a coder says, with the path in words.
    public init(_ error: DecodingError) {
        let context: DecodingError.Context
        var message: String
        switch error {
        case .typeMismatch(let type, let at): (context, message) = (at, "this should be \(Self.words(type))")
        case .valueNotFound(let type, let at):
            (context, message) = (at, "there is nothing here; this should be \(Self.words(type))")
        case .keyNotFound(let key, let at): (context, message) = (at, "\(key.stringValue) is missing")
        case .dataCorrupted(let at): (context, message) = (at, at.debugDescription)
        @unknown default: (context, message) = (.init(codingPath: [], debugDescription: ""), "\(error)")
        }
        if message.isEmpty { message = "this cannot be read" }
        self.init(Self.path(context.codingPath), message)
    }

    static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { path, key in
            if let index = key.intValue { return "\(path)[\(index)]" }
            return path.isEmpty ? key.stringValue : "\(path).\(key.stringValue)"
        }
    }

    private static func words(_ type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a text"
        case is Int.Type: "a whole number"
        case is Bool.Type: "true or false"
        case is [String].Type, is [Any].Type: "a list"
        case is [String: Any].Type: "a table"
        default: "a \(type)"
        }
    }

    /// `groups.web.hosts[2]: this is not a range`.
    public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

extension Inventory: Codable {
    /// From what a coder reads.
    ///
    /// - Throws: what the decoder throws: for an unknown key a `DecodingError` that names it and the nearest known one; see
    ///   ``InventoryError/init(_:)``.
    public init(from decoder: any Decoder) throws {
        let table = try CheckedTable(decoder, ["groups", "hosts", "variables", "spec", "via"])
        groups = try table.value("groups") ?? [:]
        hosts = try table.value("hosts") ?? [:]
        variables = try table.value("variables") ?? [:]
        spec = try table.value("spec")
        via = try table.texts("via")
    }
}

extension Inventory.Group: Codable {
    /// From what a coder reads.
    public init(from decoder: any Decoder) throws {
        let table = try CheckedTable(decoder, ["hosts", "groups", "variables", "spec", "via", "priority"])
        self.init(
            hosts: try table.value("hosts") ?? [], groups: try table.value("groups") ?? [],
            variables: try table.value("variables") ?? [:], spec: try table.value("spec"),
            via: try table.texts("via"), priority: try table.value("priority") ?? 0)
    }
}

extension Inventory.Host: Codable {
    /// From what a coder reads.
    public init(from decoder: any Decoder) throws {
        let table = try CheckedTable(decoder, ["variables", "spec", "via"])
        self.init(
            spec: try table.value("spec"), variables: try table.value("variables") ?? [:], via: try table.texts("via"))
    }
}

/// A table in which every key is known.
private struct CheckedTable {
    private let container: KeyedDecodingContainer<InventoryKey>

    init(_ decoder: any Decoder, _ known: [String]) throws {
        container = try decoder.container(keyedBy: InventoryKey.self)
        for key in container.allKeys where !known.contains(key.stringValue) {
            var words = "there is nothing called \"\(key.stringValue)\" here"
            if let nearest = NearestWord.of(key.stringValue, among: known) {
                words += "; did you mean \"\(nearest)\"?"
            } else {
                words += ", only \(known.joined(separator: ", "))"
            }
            throw DecodingError.dataCorrupted(
                .init(codingPath: container.codingPath + [key], debugDescription: words))
        }
    }

    func value<Value: Decodable>(_ name: String) throws -> Value? {
        try container.decodeIfPresent(Value.self, forKey: InventoryKey(name))
    }

    /// One text, or several.
    func texts(_ name: String) throws -> [String]? {
        let key = InventoryKey(name)
        if let text = try? container.decodeIfPresent(String.self, forKey: key) { return [text] }
        do { return try container.decodeIfPresent([String].self, forKey: key) } catch DecodingError.typeMismatch(
            _, let at)
            where at.codingPath.count <= container.codingPath.count + 1
        {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: container.codingPath + [key],
                    debugDescription: "this should be a text, or a list of texts"))
        }
    }
}
