import ArgumentParser
import Martlet

/// `martlet clean`.
struct CleanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clean",
        abstract: "Remove the agents that a host keeps for the next connect.",
        discussion: """
            They are in ${XDG_CACHE_HOME:-$HOME/.cache}/martlet of the far user; anything else there stays. Agents that run \
            now go on.

            Exit status: 0 if all is removed; 1 if something could not be; 3 if a host was not reached.
            """
    )

    @OptionGroup var wayOptions: WayInOptions

    @Argument(help: "The hosts, as for -H of 'martlet run'.")
    var hosts: [String]

    @Flag(help: "Print JSON: one object a line.")
    var json = false

    func validate() throws { _ = try HostOptions.names(hosts) }

    func run() async throws {
        let list = Host.list(try HostOptions.names(hosts))
        let command = self
        try await Session.run(colour: wayOptions.color) { try await command.run(on: list, $0) }
    }

    private func run(on hosts: [Host], _ session: Session) async throws -> Int32 {
        var way = try wayOptions.wayIn()
        way.mayUseHub = false
        // To keep an agent there in order to remove it would be a poor joke.
        way.connect.policy = .memory
        way.retryPolicy = .nothing
        let inspection = Inspection(hosts: hosts, wayIn: way, limit: 32, agent: wayOptions.agent, json: json)
        return try await inspection.run(session, event: "clean") { (cache: FarCache, _, object) in
            object.add("path", cache.path)
            object.add("files", cache.fileCount)
            object.add("bytes", cache.byteCount)
            object.add("left", cache.foreignCount)
        } onAnswer: { cache, _, host in
            let path = HarmlessText.of(cache.path)
            let removed = "\(Format.count(cache.fileCount, "file")), \(Format.bytes(cache.byteCount))"
            let left =
                cache.foreignCount == 0
                ? "" : "; left \(Format.count(cache.foreignCount, "entry", "entries")) that martlet did not make"
            let what = cache.fileCount > 0 ? "removed \(removed) in \(path)" : "nothing to remove in \(path)"
            session.output.say("\(host.label): \(what)\(left)")
        } _: { context, _ in
            try await FarCache.look(in: context, removing: true)
        }
    }
}
