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
            a slash only what is in it. Two of the same name cannot go into one folder. A file is checked and on the disk before it takes its name: nobody sees a part of it. \
            Remote paths may begin with ~/ ('~/' in quotes). With --sudo it is done as root. What goes to hosts behind one \
            gateway, or --via, crosses the way to it once.

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
        try TransferArguments.refuseTwins(paths.dropLast())
    }

    func run() async throws {
        let (chosen, options, command) = (try hostOptions.choose(), try transfer.options(), self)
        try await Session.run(colour: wayOptions.color) { session in
            let run = TransferRun(
                hosts: chosen.hosts, strategy: command.strategy.strategy(limit: command.hostOptions.limit),
                wayIn: try command.wayOptions.wayIn(), agent: command.wayOptions.agent, verify: command.strategy.verify,
                report: command.report, journal: command.journal,
                invocation: chosen.invocation())
            let sources = try await session.interruption.cancelling { try command.sources(options) }
            return try await run.run(
                session,
                .jointly(to: command.remote) { targets, onProgress, onFinish in
                    try await Self.put(sources, to: targets, onProgress, onFinish)
                })
        }
    }

    /// Several go into a folder.
    private var remote: String {
        let remote = paths[paths.count - 1]
        return paths.count > 2 && !remote.hasSuffix("/") ? remote + "/" : remote
    }

    /// Looked at once, before anybody is connected.
    private func sources(_ options: TransferOptions) throws -> [DeliverySource] {
        try paths.dropLast().map { try DeliverySource($0, options) }
    }

    /// One after the other; who did not get one gets no other.
    private static func put(
        _ sources: [DeliverySource], to targets: [SyncTarget],
        _ onProgress: (@Sendable (Int, TransferProgress) -> Void)?,
        _ onFinish: @escaping @Sendable (Int, Result<TransferSummary, any Error>) -> Void
    ) async throws {
        let summaries = Locked<[TransferSummary?]>(
            targets.map { TransferSummary(path: sources.count > 1 ? $0.path : []) })
        for (place, source) in sources.enumerated() {
            let numbers = summaries.withLock { summaries in targets.indices.filter { summaries[$0] != nil } }
            guard !numbers.isEmpty else { return }
            let progress = onProgress.map { tell in { @Sendable in tell(numbers[$0], $1) } }
            try await source.put(to: numbers.map { targets[$0] }, onProgress: progress) { index, result in
                let number = numbers[index]
                switch result {
                case .success(let result):
                    let summary = summaries.withLock { $0[number]!.add(result, isOnly: sources.count == 1) }
                    if place == sources.count - 1 { onFinish(number, .success(summary)) }
                case .failure(let error):
                    summaries.withLock { $0[number] = nil }
                    onFinish(number, .failure(error))
                }
            }
        }
    }
}
