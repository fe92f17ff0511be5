import ArgumentParser
import Martlet
import MartletFleet

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
    @OptionGroup var journal: JournalOptions

    @Argument(help: ArgumentHelp("What is copied, and behind that the destination.", valueName: "path"))
    var paths: [String] = []

    func validate() throws {
        guard paths.count >= 2, !paths.contains("") else {
            throw ValidationError("name what is to be copied, and where: martlet get -H web1 /etc/app.conf .")
        }
        try TransferArguments.refuseTwins(paths.dropLast())
    }

    func run() async throws {
        let (chosen, command) = (try hostOptions.choose(), self)
        let template = MemberTemplate(paths[paths.count - 1])
        let locals: [[UInt8]]
        do { locals = try template.paths(for: chosen.hosts.map(\.member)) } catch let error as MartletError {
            throw CommandFailure(error.message + (error.advice.map { "; \($0)" } ?? ""))
        }
        var options = try transfer.options()
        if template.hasPlaces { options.createsParents = true }
        let settled = options
        try await Session.run(colour: wayOptions.color) { session in
            let run = TransferRun(
                hosts: chosen.hosts, strategy: FleetStrategy(limit: command.hostOptions.limit),
                wayIn: try command.wayOptions.wayIn(), agent: command.wayOptions.agent, report: command.report,
                journal: command.journal, invocation: chosen.invocation())
            return try await run.run(
                session,
                .each { context, host, onProgress in
                    try await command.copy(to: locals[host.index], settled, context, onProgress)
                })
        }
    }

    private func copy(
        to local: [UInt8], _ options: TransferOptions, _ context: Context,
        _ onProgress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> TransferSummary {
        let sources = paths.dropLast()
        let slash = UInt8(ascii: "/")
        let local = sources.count > 1 && local.last != slash ? local + [slash] : local
        var summary = TransferSummary(path: local)
        for source in sources {
            let result = try await context.get(source, to: local, options: options, onProgress: onProgress)
            summary.add(result, isOnly: sources.count == 1)
        }
        return summary
    }
}
