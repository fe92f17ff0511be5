/// One hop of a route in words: `ssh:root@web1?identity=~/.ssh/key`.
public struct ConnectorSpec: Sendable {
    /// An option, decoded.
    public struct Option: Hashable, Sendable {
        /// Its name.
        public let name: String
        /// `nil`: it is one that has none.
        public let value: String?
    }

    /// The name of the way in.
    public let kind: String
    /// What stands behind the colon, decoded.
    public let argument: String?
    /// In their order.
    public let options: [Option]
    /// What it all means.
    public let connector: any Connector
    /// Whether one is on the same machine still, with the same files.
    package let staysOnMachine: Bool
    let kinds: [ConnectorKind]

    /// A connector in words.
    ///
    /// - Throws: ``SpecError`` `inexpressible` for one that none of `kinds` can say.
    public init(_ connector: some Connector, kinds: [ConnectorKind] = ConnectorKind.all) throws(SpecError) {
        for kind in kinds {
            guard let parts = kind.take(connector) else { continue }
            self = try ConnectorSpec(kind.name, parts, kinds)
            return
        }
        throw SpecError(
            .inexpressible, "no kind of spec says what a \(type(of: connector)) is", in: [], at: 0..<0)
    }

    private init(_ kind: String, _ parts: SpecParts, _ kinds: [ConnectorKind]) throws(SpecError) {
        var printer = SpecPrinter()
        printer.hop(kind, parts.argument, parts.options, kinds)
        self = try RouteSpec(printer.text, kinds: kinds).hops[0]
    }

    /// - Parameter hop: as it was written.
    init(_ hop: SpecParser.Hop, in spec: [Unicode.Scalar], kinds: [ConnectorKind]) throws(SpecError) {
        let check = SpecCheck(hop: hop, spec: spec, kinds: kinds)
        let form = try check.form()
        let reader = SpecReader(argument: try check.argument(of: form), options: try check.options(of: form))
        connector = try form.make(reader)
        staysOnMachine = form.staysOnMachine
        self.kinds = kinds
        kind = form.name
        argument = reader.argument?.text
        options = reader.options.map { Option(name: $0.name, value: $0.value?.text) }
    }

    /// The hop without its options.
    public var label: String {
        var printer = SpecPrinter()
        printer.hop(kind, argument, [], kinds)
        return printer.text
    }
}

extension ConnectorSpec: Hashable, CustomStringConvertible {
    /// Whether they say the same in the same order, however it was written.
    public static func == (first: ConnectorSpec, second: ConnectorSpec) -> Bool {
        first.kind == second.kind && first.argument == second.argument && first.options == second.options
    }

    /// Of what is compared.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(argument)
        hasher.combine(options)
    }

    /// The spec.
    public var description: String {
        var printer = SpecPrinter()
        printer.hop(kind, argument, options, kinds)
        return printer.text
    }
}
