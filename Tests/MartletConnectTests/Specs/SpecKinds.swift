@testable import Martlet

/// A way in that leads nowhere, to try how all sorts of kinds are written.
struct PaperConnector: Connector {
    var kind: String
    var place: String?
    var values: [String] = []

    var label: String { kind + (place.map { ":\($0)" } ?? "") }
    func launch(_ bootstrap: Bootstrap) -> Launch { .shell(["false"]) }

    static func kind(
        _ name: String, _ argument: ConnectorKind.Argument, _ options: [ConnectorKind.Option] = [],
        hints: [String: String] = [:]
    ) -> ConnectorKind {
        ConnectorKind(
            name, "nowhere", argument: argument, options: options.map { SpecBinding<PaperConnector>($0) }, hints: hints
        ) { spec in
            PaperConnector(kind: name, place: spec.argument?.text, values: spec.options.map { $0.value?.text ?? "" })
        } written: {
            $0.place
        }
    }
}

extension [ConnectorKind] {
    /// Those of Martlet, and some as others may come: with a path behind the colon, with flags, with nothing.
    static let many: [ConnectorKind] =
        ConnectorKind.all.filter { !["sudo", "podman", "python", "chroot", "unshare"].contains($0.name) } + [
            PaperConnector.kind(
                "sudo", .optional("user"),
                [.init("login", .flag, ""), .init("env", .assignment, "", isRepeatable: true)]),
            PaperConnector.kind(
                "podman", .required("container"),
                [
                    .init("program", .program, ""), .init("user", .text, ""),
                    .init("pull", .choice(["always", "never"]), ""),
                ]),
            PaperConnector.kind("python", .none),
            PaperConnector.kind("chroot", .required("directory"), [.init("login", .flag, "")]),
            PaperConnector.kind("unshare", .none, [.init("map", .number(0...9), "")]),
        ]
}
