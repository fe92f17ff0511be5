import ArgumentParser
import Martlet
import MartletFleet

@main struct FileSync: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "file-sync",
        abstract: "Make a folder of many hosts as one of this machine is, and say what changed where.",
        discussion: "Only what differs is sent. With --via that crosses the way to the host between only once, for all."
    )

    @Flag(help: "Delete there what is not here.") var delete = false
    @Flag(name: [.customShort("n"), .long], help: "Change nothing; only say what would be done.") var dryRun = false
    @Option(help: "Leave out what has such a name, as '*.log'; may be repeated.") var exclude: [String] = []
    @Option(help: "A host from which the others are reached.") var via: String?

    @Argument(help: "The folder here.") var source: String
    @Argument(help: "The folder there; {host} in it stands for each host's name.") var destination: String
    @Argument(help: "Hosts as ssh knows them, or specs: web1, 'web[1-10]', docker:app.") var hosts: [String]

    func run() async throws {
        let results = try await withMartlet { martlet in
            let group =
                if let via { try await martlet.connect(via).group(hosts) } else { try martlet.group(hosts) }
            var options = SyncOptions()
            (options.deletes, options.isDryRun, options.createsParents) = (delete, dryRun, true)
            options.filters = exclude.map { .exclude($0) }
            return try await group.sync(source, to: destination, options: options)
        }
        // Hosts where the same was done are told of together.
        for group in results.grouped(by: \.changes) {
            print(group.content.isEmpty ? "\(group.nodes): as it should be" : "\(group.nodes):")
            for change in group.content { print("  \(change.kind.mark) \(name(of: change))") }
        }
        let outcomes = results.successes.map(\.value)
        let (files, bytes) = (outcomes.map(\.fileCount).reduce(0, +), outcomes.map(\.byteCount).reduce(0, +))
        print("\(results); files: \(files), bytes: \(bytes)")
        // Tells of each host that failed, and why.
        try results.get()
    }

    /// Names of files are bytes, which need not be text; that of the folder itself is empty.
    private func name(of change: SyncChange) -> String {
        String(decoding: change.path.isEmpty ? [UInt8(ascii: ".")] : change.path, as: UTF8.self)
            + (change.isFolder ? "/" : "")
    }
}

extension SyncChange.Kind {
    fileprivate var mark: String {
        switch self {
        case .created: "+"
        case .updated: "*"
        case .metadata: "~"
        case .deleted: "-"
        }
    }
}
