import ArgumentParser
import Martlet

/// `martlet put`.
struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Copy files or folders to many hosts at once.",
        usage: "martlet put -H HOST[,HOST...] [options] LOCAL... REMOTE",
        discussion: """
            If REMOTE is a folder or ends in a slash, what is copied goes into it under its own name; of a LOCAL that ends in \
            a slash only what is in it. A file is checked and on the disk before it takes its name: nobody sees a part of it. \
            Remote paths may begin with ~/ ('~/' in quotes). With --sudo it is done as root.

            Exit status: 0 if all succeeded; 1 if something was not copied; 3 if a host was not reached or was lost; 4 if it \
            was stopped before all hosts had their turn, or a check failed; 64 for wrong usage; 130 after Ctrl-C (128 + the signal).
            """
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var transfer: TransferArguments
    @OptionGroup var strategy: StrategyOptions
    @OptionGroup var report: TransferReportOptions
    @OptionGroup var journal: JournalOptions

    @Argument(help: ArgumentHelp("What is copied, and behind that the destination.", valueName: "path"))
    var paths: [String] = []

    func validate() throws {
        guard paths.count >= 2, !paths.contains("") else {
            throw ValidationError("name what is to be copied, and where: martlet put -H web1 app.conf /etc/app/")
        }
    }

    func run() async throws {
        let (hosts, options, command) = (try hostOptions.list(), try transfer.options(), self)
        try await Session.run(colour: wayOptions.color) { session in
            let run = TransferRun(
                hosts: hosts, strategy: command.strategy.strategy(limit: command.hostOptions.limit),
                wayIn: try command.wayOptions.wayIn(), agent: command.wayOptions.agent, verify: command.strategy.verify,
                report: command.report, journal: command.journal,
                invocation: Invocation(passing: []))
            return try await run.run(session) { context, _, onProgress in
                try await command.copy(options, context, onProgress)
            }
        }
    }

    private func copy(
        _ options: TransferOptions, _ context: Context, _ onProgress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> TransferSummary {
        let sources = paths.dropLast()
        var remote = paths[paths.count - 1]
        // Several go into a folder.
        if sources.count > 1, !remote.hasSuffix("/") { remote += "/" }
        var summary = TransferSummary()
        for source in sources {
            let result = try await context.put(source, to: remote, options: options, onProgress: onProgress)
            summary.path = sources.count > 1 ? Array(remote.utf8) : result.path
            summary.files += result.fileCount
            summary.bytes += result.byteCount
        }
        return summary
    }
}
