import ArgumentParser
import Martlet
import MartletFleet

@main struct RollingDeploy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rolling-deploy",
        abstract: "Bring a release to many hosts, batch by batch, and take it back where it does not work.",
        discussion: """
            The files go to all hosts first, where nothing uses them yet. Then one batch after the other gets the release \
            as its current one, is restarted and checked. If that fails, the batch goes back to what it had, and the other \
            hosts are left alone. The folder's name is the release's.
            """
    )

    @Option(help: "The application's folder there; relative to the home.") var root = "app"
    @Option(help: "How many hosts at a time: numbers, percentages, rest.") var batches = "1,50%,rest"
    @Option(help: "How many hosts may fail to take the release before all stops.") var failures = 0
    @Option(help: "Run in the current release when that has changed.") var restart = "true"
    @Option(help: "Run in the current release: it works if this exits with 0.") var check = "./health"
    @Option(help: "How often a check is made, with growing pauses between.") var tries = 5

    @Argument(help: "The folder with the release.") var folder: String
    @Argument(help: "Hosts as ssh knows them, or specs: web1, 'web[1-10]', ssh:bastion/ssh:db1/sudo:app.")
    var hosts: [String]

    private var release: String { folder.split(separator: "/").last.map(String.init) ?? "" }

    func validate() throws {
        _ = try strategy()
        if ["", ".", ".."].contains(release) { throw ValidationError("'\(folder)' has no name for a release") }
    }

    private func strategy() throws -> FleetStrategy {
        let sizes = try batches.split(separator: ",").map { text in
            guard let size = BatchSize(String(text)) else { throw ValidationError("'\(text)' is no size of a batch") }
            return size
        }
        return FleetStrategy(batches: sizes, failures: .count(failures))
    }

    func run() async throws {
        let results = try await withMartlet { martlet in
            let fleet = try martlet.group(hosts)
            try await upload(to: fleet)

            var rolling = fleet.with(try strategy())
            rolling.strategy.verify = { batch in try await verify(batch) }
            rolling.onEvent = { event in
                guard case .batch(let number, let count, let members) = event else { return }
                print("batch \(number) of \(count): \(NodeSet(members.map(\.name)))")
            }
            let results = try await activate(on: rolling, release, in: root)

            // What is true is what the hosts say.
            for group in try await currentRelease(on: fleet, in: root).grouped(by: \.self) {
                print("\(group.content ?? "nothing") is current on \(group.nodes)")
            }
            return results
        }
        if let stop = results.stop { throw stop }
        try results.get()
    }

    /// - Throws: if a host cannot take the files. Nothing has changed then for what runs, on any host.
    private func upload(to fleet: Group) async throws {
        var options = SyncOptions()
        (options.createsParents, options.deletes) = (true, true)
        let copies = try await fleet.sync(folder, to: "\(root)/releases/\(release)", options: options).get()
        print("\(release) is on \(copies.count) hosts; \(copies.map(\.fileCount).reduce(0, +)) files were missing")
    }

    /// Behind each batch: who has the release now is restarted and checked. If that fails the whole batch goes back.
    private func verify(_ batch: FleetBatch) async throws {
        do {
            // Too many of it have failed before they came to this.
            if let stop = batch.stop { throw stop }
            try await runInRelease(restart, on: batch.succeeded)
            var patient = FleetStrategy(retry: RetryPolicy(runs: max(0, tries - 1)))
            patient.retry.pause = .milliseconds(250)
            try await runInRelease(check, on: batch.succeeded.with(patient))
            print("  works")
        } catch {
            print("  does not work, and goes back")
            let back = try await rollBack(on: batch.group, from: release, in: root)
            for (host, reason) in back.failures { print("  \(host) COULD NOT GO BACK: \(reason)") }
            do { try await runInRelease(restart, on: back.succeeded) } catch { print("  NOT RESTARTED: \(error)") }
            throw error
        }
    }

    /// - Throws: `GroupError`, which tells of each host where the command has failed, and what it said.
    private func runInRelease(_ command: String, on hosts: Group) async throws {
        var options = CommandOptions()
        (options.directory, options.timeout) = ("\(root)/current", .seconds(60))
        try await hosts.run(command, options: options).get()
    }
}
