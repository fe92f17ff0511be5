/// Ways in, one through the other, in words: `ssh:bastion/ssh:db1?identity=~/.ssh/key/sudo:postgres`.
///
/// Hops are separated by `/`, and each is its kind, behind a colon where it leads, and behind a question mark its options.
/// A first hop that is no known kind is a host for ssh: `root@web1:2222`. `docs/SPECS.md` has the rules and all kinds.
///
/// ``description`` writes it so that it reads back as the same.
public struct RouteSpec: Hashable, Sendable, CustomStringConvertible {
    /// At least one; the first is the nearest.
    public let hops: [ConnectorSpec]

    /// Reads a spec.
    ///
    /// - Parameter kinds: which ways in there are. Default: ``ConnectorKind/all``.
    /// - Throws: ``SpecError``, which points at the character.
    public init(_ text: String, kinds: [ConnectorKind] = ConnectorKind.all) throws(SpecError) {
        let spec = Array(text.unicodeScalars)
        let written = try SpecParser.hops(spec) { name in kinds.contains { $0.name == name } }
        var hops: [ConnectorSpec] = []
        for hop in written { hops.append(try ConnectorSpec(hop, in: spec, kinds: kinds)) }
        self.hops = hops
    }

    private init(hops: [ConnectorSpec]) { self.hops = hops }

    /// This route, and on from its end.
    public func appending(_ route: RouteSpec) -> RouteSpec { RouteSpec(hops: hops + route.hops) }

    /// The spec.
    public var description: String {
        var printer = SpecPrinter()
        for hop in hops { printer.hop(hop.kind, hop.argument, hop.options, hop.kinds) }
        return printer.text
    }
}
