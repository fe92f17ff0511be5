import ArgumentParser
import Martlet
import MartletFleet

/// `martlet hosts`.
struct HostsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hosts",
        abstract: "Show which hosts words stand for, and how each is reached.",
        discussion: """
            Without any: all of the inventory, and those that ~/.ssh/config names. The inventory is a TOML file:

              [groups.web]
              hosts = ["web[01-20]", "!web13"]
              spec = "ssh:bastion/ssh:deploy@{host}"
              [groups.site]
              groups = ["web", "db"]
              via = ["gw1", "gw2"]
              [hosts.db1]
              spec = "root@10.0.0.5:2222"
              variables = { role = "primary" }

            Then -H @web, -H '@site!web03' and -H db1 mean these hosts. {host} in a spec is the host's name, {NAME} a variable. \
            Hosts with via are reached through one of those, chosen by itself; their specs begin on its machine. Of what several \
            groups of a host say, that of the innermost counts; of groups as deep as each other that of the highest priority, \
            then of the last by name; what the host's own entry says counts before all.
            """
    )

    @Argument(help: "As -H of the other commands.")
    var hosts: [String] = []

    @Option(help: ArgumentHelp("Use this inventory.", valueName: "file"))
    var inventory: String?

    @Flag(help: "Print JSON: one object a host.")
    var json = false

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func validate() throws {
        try OptionValue.notBlank(["--inventory": inventory])
        let selection = try HostSelection(inventory)
        for text in hosts { _ = try selection.names(text) }
    }

    func run() async throws {
        let selection = try HostSelection(inventory)
        let known = try selection.all()
        var rows: [(name: String, spec: String, host: InventoryHost?)] = []
        if hosts.isEmpty {
            rows = known.map { ($0.name, $0.spec, $0) }
            let names = Set(known.map(\.name))
            rows += SSHConfiguration().hosts.filter { !names.contains($0) }.map { ($0, "ssh:\($0)", nil) }
        } else {
            let byName = Dictionary(known.map { ($0.name, $0) }) { first, _ in first }
            for name in try hosts.flatMap({ try selection.names($0) }) {
                rows.append((name.text, name.route.description, byName[name.text]))
            }
        }
        let (settled, command) = (rows, self)
        try await Session.run(colour: color) { session in
            command.tell(settled, selection, session.output)
            return ExitStatus.success
        }
    }

    private func tell(
        _ rows: [(name: String, spec: String, host: InventoryHost?)], _ selection: HostSelection, _ output: Output
    ) {
        if json {
            for row in rows {
                var object = JSONObject()
                object.add("host", row.name)
                object.add("spec", row.spec)
                object.add("groups", row.host?.groups ?? [])
                object.add("via", row.host?.gateways?.map(\.name) ?? [])
                var variables = JSONObject()
                for (name, value) in (row.host?.variables ?? [:]).sorted(by: { $0.key < $1.key }) {
                    variables.add(name, value.words)
                }
                object.add("variables", variables)
                output.say(object.finished)
            }
            return
        }
        guard !rows.isEmpty else {
            return output.say(hosts.isEmpty ? selection.emptiness : "no host is in that", to: .error)
        }
        let hasGateways = rows.contains { $0.host?.gateways?.isEmpty == false }
        var table = Table(["host", "spec"] + (hasGateways ? ["via"] : []) + ["groups", "variables"])
        for row in rows {
            let variables = (row.host?.variables ?? [:]).sorted { $0.key < $1.key }
                .map { "\($0.key)=\($0.value.words)" }
            var cells = [row.name, row.spec]
            if hasGateways { cells.append(row.host?.gateways?.map(\.name).joined(separator: " ") ?? "") }
            cells += [
                row.host?.groups.map { "@\($0)" }.joined(separator: " ") ?? "", variables.joined(separator: " "),
            ]
            table.add(cells.map { HarmlessText.of($0) })
        }
        for line in table.lines { output.say(line) }
    }
}

extension InventoryValue {
    /// For people.
    fileprivate var words: String {
        switch self {
        case .list(let values): "[" + values.map(\.words).joined(separator: ", ") + "]"
        case .table(let table):
            "{" + table.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.words)" }.joined(separator: ", ") + "}"
        default: text ?? ""
        }
    }
}
