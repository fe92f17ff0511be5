import ArgumentParser
@preconcurrency import Glibc
import Martlet
import MartletFleet

@main struct TailLogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail-logs",
        abstract: "Follow a file on many hosts at once, each line with its host in front.",
        discussion:
            "A host that cannot be reached, or has no such file, is told and left out. Ctrl-C ends it, here and there."
    )

    @Option(help: "Only lines with this in them; it is looked for where the file is.")
    var word: String?

    @Argument(help: "The file.")
    var path: String

    @Argument(help: "Hosts as ssh knows them, or specs: web1, 'web[1-10]', ssh:bastion/ssh:db1.")
    var hosts: [String]

    func run() async throws {
        try await withMartlet { martlet in
            let group = try martlet.group(hosts)
            // A channel for each host: one end goes there with the task, the others are here, as one.
            _ = try await group.withChannels(of: String.self) { lines, _ in
                FollowFile(path: path, word: word, lines: lines)
            } _: { channels in
                for try await event in channels.events {
                    switch event {
                    case .item(let host, let line): try show("\(host): \(line)")
                    case .ended(let host, let reason): complain("\(host): \(reason.map { "\($0)" } ?? "ended")")
                    }
                }
            }
        }
        // Here it comes only when nobody is left to follow.
        throw ExitCode.failure
    }

    /// Prints a line at once, also into a pipe. When nobody reads that any more (`| head`), all ends.
    private func show(_ line: String) throws {
        print(line)
        if fflush(nil) != 0 { throw ExitCode.failure }
    }

    private func complain(_ text: String) { fputs("tail-logs: \(text)\n", stderr) }
}
