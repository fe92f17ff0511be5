import ArgumentParser
import Martlet
import MartletFleet

/// `martlet sync`.
struct SyncCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Make a folder on many hosts as one of this machine is.",
        usage: "martlet sync -H HOST[,HOST...] [options] LOCAL REMOTE",
        discussion: """
            The local folder is looked at once; each host gets what is not as there, by size and time of the last change. Modes \
            and times become the source's, links are copied as links. What is only on the hosts stays, unless --delete. Hosts behind \
            one gateway, or --via, that are reached about the same time are done together: what is copied crosses the way to \
            it once.

            Exit status: as of put.
            """
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var filters: FilterArguments
    @OptionGroup var report: TransferReportOptions
    @OptionGroup var journal: JournalOptions

    @Flag(help: "Delete what is not in the local folder; what is left out by --exclude stays.")
    var delete = false

    @Flag(name: .shortAndLong, help: "Compare by content, not by size and time.")
    var checksum = false

    @Flag(name: [.customShort("n"), .long], help: "Only list what would be done.")
    var dryRun = false

    @Flag(name: .shortAndLong, help: "List what is done.")
    var verbose = false

    @Option(
        help: ArgumentHelp("Give all this owner, by names or numbers: user, user:group or :group.", valueName: "owner"))
    var owner: String?

    @Flag(help: "Keep user and group, by their numbers.")
    var preserveOwner = false

    @Flag(help: "Make the folders that lead to the destination.")
    var parents = false

    @Flag(help: "Copy what links stand for, not the links.")
    var followLinks = false

    @Argument(help: "The folder of this machine.")
    var local: String

    @Argument(help: "The folder on the hosts.")
    var remote: String

    func validate() throws {
        guard !local.isEmpty, !remote.isEmpty else { throw ValidationError("name two folders") }
        _ = try owner.map(TransferArguments.owner)
    }

    func run() async throws {
        let (chosen, command) = (try hostOptions.choose(), self)
        var options = SyncOptions()
        options.deletes = delete
        options.comparesContent = checksum
        options.isDryRun = dryRun
        options.filters = filters.filters
        options.owner = try owner.map(TransferArguments.owner)
        options.preservesOwner = preserveOwner
        options.createsParents = parents
        options.followsLinks = followLinks
        let settled = options
        try await Session.run(colour: wayOptions.color) { session in
            let source = try await session.interruption.cancelling { try SyncSource(command.local, settled) }
            let run = TransferRun(
                hosts: chosen.hosts, strategy: FleetStrategy(limit: command.hostOptions.limit),
                wayIn: try command.wayOptions.wayIn(), agent: command.wayOptions.agent, report: command.report,
                journal: command.journal, invocation: chosen.invocation(),
                lists: command.dryRun || command.verbose, isDryRun: command.dryRun)
            return try await run.run(
                session,
                .jointly(to: command.remote) { targets, onProgress, onFinish in
                    _ = try await source.sync(to: targets, options: settled, onProgress: onProgress) {
                        onFinish($0, TransferSummary.of($1))
                    }
                })
        }
    }
}

extension TransferSummary {
    fileprivate static func of(_ outcome: SyncOutcome) -> Result<TransferSummary, any Error> {
        if let error = outcome.error { return .failure(error) }
        let summary = TransferSummary(
            path: outcome.target.path, files: outcome.fileCount, bytes: outcome.byteCount,
            changes: outcome.changes, omittedChanges: outcome.omittedChanges, failures: outcome.failures,
            isSame: outcome.changes.isEmpty && outcome.failures.isEmpty)
        return summary.failures.isEmpty ? .success(summary) : .failure(IncompleteTransfer(summary: summary))
    }
}
