import ArgumentParser
import Martlet

/// `martlet get`.
struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Copy files or folders from many hosts at once.",
        usage: "martlet get -H HOST[,HOST...] [options] REMOTE... LOCAL",
        discussion: """
            {host} in LOCAL stands for the host's name, so that each host's files have a place of their own: 'logs/{host}/'. \
            Folders with it are made. Otherwise as put; what is here stays as it is until all of a file has come.

            Exit status: as of put.
            """
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var transfer: TransferArguments
    @OptionGroup var report: TransferReportOptions

    @Argument(help: ArgumentHelp("What is copied, and behind that the destination.", valueName: "path"))
    var paths: [String] = []

    func validate() throws {
        guard paths.count >= 2, !paths.contains("") else {
            throw ValidationError("name what is to be copied, and where: martlet get -H web1 /etc/app.conf .")
        }
    }

    func run() async throws {
        let (hosts, command) = (try hostOptions.list(), self)
        let locals = try LocalTemplate(paths[paths.count - 1]).paths(for: hosts)
        var options = try transfer.options()
        if locals.hasPlaces { options.createsParents = true }
        let settled = options
        try await Session.run(colour: wayOptions.color) { session in
            let run = TransferRun(
                hosts: hosts, limit: command.hostOptions.limit, wayIn: try command.wayOptions.wayIn(),
                agent: command.wayOptions.agent, report: command.report)
            return try await run.run(session) { context, host, onProgress in
                try await command.copy(to: locals.paths[host.index], settled, context, onProgress)
            }
        }
    }

    private func copy(
        to local: String, _ options: TransferOptions, _ context: Context,
        _ onProgress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> TransferSummary {
        let sources = paths.dropLast()
        let local = sources.count > 1 && !local.hasSuffix("/") ? local + "/" : local
        var summary = TransferSummary()
        for source in sources {
            let result = try await context.get(source, to: local, options: options, onProgress: onProgress)
            summary.path = sources.count > 1 ? Array(local.utf8) : result.path
            summary.files += result.fileCount
            summary.bytes += result.byteCount
        }
        return summary
    }
}

/// A path of this machine in which `{host}` stands for a host.
struct LocalTemplate {
    private let parts: [String]

    init(_ text: String) {
        var parts = [""]
        var rest = text[...]
        while !rest.isEmpty {
            if rest.hasPrefix("{host}") {
                rest = rest.dropFirst("{host}".count)
                parts.append("")
            } else {
                parts[parts.count - 1].append(rest.removeFirst())
            }
        }
        self.parts = parts
    }

    /// - Returns: a path for each host, and whether `{host}` is in it.
    /// - Throws: `ValidationError` if two hosts would have the same.
    func paths(for hosts: [Host]) throws -> (paths: [String], hasPlaces: Bool) {
        guard parts.count > 1 else {
            guard hosts.count <= 1 else {
                throw ValidationError(
                    "\(hosts.count) hosts would write to \(parts[0]); put {host} into the path, as in \(parts[0])\(parts[0].hasSuffix("/") ? "" : "-"){host}")
            }
            return (hosts.map { _ in parts[0] }, false)
        }
        let paths = hosts.map { parts.joined(separator: Self.name($0)) }
        guard Set(paths).count == paths.count else {
            throw ValidationError("two hosts would write to the same path")
        }
        return (paths, true)
    }

    /// A host's name as one name of a file.
    static func name(_ host: Host) -> String {
        let name = String(host.label.map { $0 == "/" || $0 == "\0" ? "_" : $0 })
        return name == "." || name == ".." ? "_" + name : name
    }
}
