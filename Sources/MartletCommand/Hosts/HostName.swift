import Martlet
import MartletSocket

/// A host as it is given on the command line: a spec, of which a plain word is a host for ssh.
struct HostName: Sendable, Hashable {
    /// As it was given.
    var text: String
    var route: RouteSpec
    /// The text is a name of the inventory's, and does not say how the host is reached.
    var isNamed = false
    /// It is reached through any one of these, as the inventory has it; empty: from here.
    var gateways: [HostName] = []

    /// This machine, and this user, with nothing sent.
    var isLocal: Bool { route.hops.allSatisfy { $0.kind == "local" } }

    /// All hops to it through the gateways that stand first; `nil`: there is none before it.
    var firstGateway: RouteSpec? {
        gateways.first.map { gateway in gateway.firstGateway?.appending(gateway.route) ?? gateway.route }
    }

    /// - Throws: ``SpecError``.
    init(_ text: String) throws(SpecError) {
        self.text = text
        route = try RouteSpec(text, kinds: ConnectorKind.ofCommandLine)
    }

    /// How it is called in what is printed: as it was given, but without options.
    var label: String {
        if isNamed, HarmlessText.of(text) == text { return text }
        guard route.hops.contains(where: { !$0.options.isEmpty }) || HarmlessText.of(text) != text else { return text }
        return route.hops.map(\.label).joined(separator: "/")
    }
}

extension ConnectorKind {
    /// All that the command line has: also that which needs TLS.
    static let ofCommandLine = all + [TLSConnector.kind]
}
