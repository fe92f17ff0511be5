import ArgumentParser
import Martlet

/// `martlet tree`.
struct TreeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        abstract: "Show the contexts that the hub keeps: see 'martlet up'.",
        discussion: "Exit status: 0; 1 if there is no hub."
    )

    @Flag(help: "Print JSON: one object a context.")
    var json = false

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func run() async throws {
        let command = self
        try await Session.run(colour: color) { session in
            try await withMartlet { controller in
                guard let hub = try await controller.connectHub(try HubFinder.wanted()) else {
                    session.output.say("there is no hub: 'martlet up' starts one", to: .error)
                    return ExitStatus.failed
                }
                let status = try await hub.call(HubStatusTask())
                if command.json { Self.tellMachines(status, session) } else { Self.tellPeople(status, session) }
                return ExitStatus.success
            }
        }
    }

    private static func tellMachines(_ status: HubStatus, _ session: Session) {
        for entry in status.contexts {
            var object = JSONObject()
            object.add("event", "context")
            object.add("host", entry.target.label)
            object.add("route", entry.route?.joined(separator: "/"))
            object.add("user", entry.user)
            object.add("hostname", entry.host)
            object.add("lost", entry.isLost)
            object.add("idle", entry.idle)
            object.add("uses", entry.uses)
            object.add("running", entry.running)
            object.add("bytesSent", entry.bytesSent.map { Int(clamping: $0) })
            object.add("bytesReceived", entry.bytesReceived.map { Int(clamping: $0) })
            session.output.say(object.finished)
        }
        var object = JSONObject()
        object.add("event", "hub")
        object.add("process", Int(status.processID))
        object.add("uptime", status.uptime)
        object.add("contexts", status.contexts.count { !$0.isLost })
        session.output.say(object.finished)
    }

    private static func tellPeople(_ status: HubStatus, _ session: Session) {
        let lost = status.contexts.count(where: \.isLost)
        session.output.say(
            "hub  process \(status.processID), up \(Format.duration(status.uptime)), "
                + Format.count(status.contexts.count - lost, "context") + (lost > 0 ? ", \(lost) lost" : ""))
        let children = Dictionary(grouping: status.contexts) { $0.target.gateway?.label }
        let known = Set(status.contexts.map(\.target.label))
        // One whose gateway went meanwhile stands at the top.
        let top = status.contexts.filter { $0.target.gateway.map { !known.contains($0.label) } ?? true }
        var table = Table(["", "as", "used", "commands", "sent", "received"], rightAligned: [3, 4, 5])
        func add(_ entries: [HubStatus.Entry], _ indent: String) {
            for (number, entry) in entries.enumerated() {
                let isLast = number == entries.count - 1
                let name = HarmlessText.of(indent + (isLast ? "└─ " : "├─ ") + entry.target.hostLabel)
                let place =
                    entry.isLost ? "lost" : entry.user.map { "\($0)@\(entry.host ?? "?")" } ?? "connecting"
                let use = entry.running > 0 ? "\(entry.running) running" : "\(Format.duration(entry.idle)) ago"
                table.add([
                    name, HarmlessText.of(place), use, "\(entry.uses)", bytes(entry.bytesSent),
                    bytes(entry.bytesReceived),
                ])
                add(children[entry.target.label] ?? [], indent + (isLast ? "   " : "│  "))
            }
        }
        add(top, "")
        if !status.contexts.isEmpty { for line in table.lines { session.output.say(line) } }
    }

    private static func bytes(_ count: UInt64?) -> String { count.map { Format.bytes(Int(clamping: $0)) } ?? "-" }
}
