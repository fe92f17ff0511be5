import Martlet
import MartletFleet

/// What words of the command line mean which hosts: specs, ranges, and what the inventory knows.
struct HostSelection: Sendable {
    private let inventory: Inventory?
    /// The inventory's file; nil if there is none.
    let inventoryFile: String?
    private let known: [String: InventoryHost]

    /// - Parameter file: what `--inventory` says.
    /// - Throws: ``CommandFailure`` that names the inventory's file.
    init(_ file: String?) throws(CommandFailure) {
        inventoryFile = InventoryFile.path(file)
        inventory = try inventoryFile.map { path throws(CommandFailure) in try InventoryFile.read(path) }
        let hosts: [InventoryHost]
        do { hosts = try inventory?.allHosts() ?? [] } catch { throw CommandFailure("\(error)") }
        known = Dictionary(hosts.map { ($0.name, $0) }) { first, _ in first }
    }

    /// A host by what it is called, and how it is reached: the inventory's, if that means the same by it.
    func host(_ name: String, spec: String) throws(SpecError) -> HostName {
        let host = try HostName(name, spec: spec)
        guard let known = known[name], let same = try? HostName(known), same.route == host.route else { return host }
        return same
    }

    /// All that the inventory has, in its order.
    func all() throws -> [InventoryHost] { try inventory?.allHosts() ?? [] }

    /// Where hosts could have been, if there is none.
    var emptiness: String {
        let source = inventoryFile.map { "the inventory \(HarmlessText.of($0)) has no host" } ?? "there is no inventory"
        return "\(source), and ~/.ssh/config names none: see 'martlet hosts --help'"
    }

    /// - Parameter place: where it was given, for the error.
    /// - Throws: ``CommandFailure``.
    func names(_ text: String, _ place: String = "") throws(CommandFailure) -> [HostName] {
        do {
            guard Self.isExpression(text) else {
                var names: [HostName] = []
                for word in NodePattern.split(text) {
                    for name in try NodePattern.expand(word) {
                        names.append(try known[name].map { try HostName($0) } ?? HostName(name))
                    }
                }
                return names
            }
            return try (inventory ?? Inventory()).select(text).map { try HostName($0) }
        } catch { throw CommandFailure("\(place)\(error)") }
    }

    /// Whether it says more than to take all that are named: then each host is there once.
    private static func isExpression(_ text: String) -> Bool {
        var isWord = true
        var isOption = false
        for character in text {
            switch character {
            case "@" where isWord: return true
            case "!" where !isOption, "^" where !isOption, "&" where !isOption: return true
            case "?": isOption = true
            case ",", " ": (isWord, isOption) = (true, false)
            default: isWord = false
            }
            if character != ",", character != " " { isWord = false }
        }
        return false
    }
}

extension HostName {
    /// A host of the inventory, by its name there.
    init(_ host: InventoryHost) throws(SpecError) {
        try self.init(host.name, spec: host.spec)
        for gateway in host.gateways ?? [] { gateways.append(try HostName(gateway)) }
    }

    /// A host by what it is called, and how it is reached.
    init(_ name: String, spec: String) throws(SpecError) {
        try self.init(spec)
        text = name
        isNamed = name != spec
    }

    /// How it is reached: what with its name makes it again.
    var spec: String { isNamed ? route.description : text }
}
