import ArgumentParser
import Martlet
import MartletFleet

/// Which hosts a command is for.
struct HostOptions: ParsableArguments {
    @Option(
        name: [.customShort("H"), .customLong("hosts")],
        help: ArgumentHelp(
            """
            Hosts, separated by commas: [user@]name[:port] for ssh, local for this machine, web[1-20] for many, \
            ssh:web1/ssh:db1 for one through the other; see 'martlet specs'. @group for those of the inventory, \
            web[1-20]!web13 without one, @web&@eu for those in both; see 'martlet hosts'. May be repeated.
            """, valueName: "hosts")
    )
    var hosts: [String] = []

    @Option(
        help: ArgumentHelp(
            "Read hosts from a file, one a line; # begins a comment; - is standard input.", valueName: "file"))
    var hostsFile: String?

    @Option(
        help: ArgumentHelp(
            "Work on at most so many hosts at once. Default: as many as descriptors allow.", valueName: "number"))
    var fanout: Int?

    @Option(
        help: ArgumentHelp(
            "Use this inventory. Default: what MARTLET_INVENTORY names, or ~/.config/martlet/inventory.toml.",
            valueName: "file"))
    var inventory: String?

    @Option(
        help: ArgumentHelp(
            """
            Take those hosts of the last run that are in the journal as failed, unreached, unfinished (lost after it had \
            begun, interrupted, skipped, or not known), or all; several with commas. 'martlet run' without a command repeats that of the last run, too, \
            with its options.
            """, valueName: "which"),
        completion: .list(Rerun.Kind.allCases.map(\.rawValue)), transform: Rerun.read)
    var rerun: Rerun?

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("With --rerun: take this run instead of the last; see 'martlet journal'.", valueName: "id"))
    var runID: Int64?

    /// - Throws: `ValidationError` if none is named; ``CommandFailure`` for a name that is none, or if there is no host at all;
    ///   `CleanExit` if there is none left.
    func choose() throws -> HostChoice {
        guard let rerun else { return HostChoice(hosts: try named(), earlier: nil, inventory: inventory) }
        let (run, all) = try Rerun.run(runID)
        return HostChoice(
            hosts: try rerun.hosts(of: run, all, inventory: inventory), earlier: run, inventory: inventory)
    }

    private func named() throws -> [Host] {
        let selection = try HostSelection(inventory)
        var names: [HostName] = []
        for text in hosts { names += try selection.names(text) }
        if let hostsFile {
            for (number, text) in try Self.lines(of: hostsFile) {
                names += try selection.names(text, "\(hostsFile):\(number): ")
            }
        } else if hosts.isEmpty {
            // Not in validate(): what else is wrong, or a wish for help, comes first.
            throw ValidationError("name hosts with -H or --hosts-file; options stand before the command")
        }
        guard !names.isEmpty else { throw CommandFailure("there is no host in what -H and --hosts-file name") }
        return Host.list(names)
    }

    /// What words mean, with the inventory that is used if none is named.
    ///
    /// - Throws: ``CommandFailure`` for one that is none.
    static func names(_ texts: [String]) throws(CommandFailure) -> [HostName] {
        let selection = try HostSelection(nil)
        var names: [HostName] = []
        for text in texts {
            guard !text.allSatisfy(\.isWhitespace) else {
                throw CommandFailure("a host has an empty name: see whether a variable is not set")
            }
            names += try selection.names(text)
        }
        return names
    }

    /// The one host that a word means.
    ///
    /// - Throws: ``CommandFailure`` for one that is none, or means several.
    static func name(_ text: String) throws(CommandFailure) -> HostName {
        let names = try names([text])
        guard names.count == 1 else { throw CommandFailure("\(text) means \(names.count) hosts, not one") }
        return names[0]
    }

    func validate() throws {
        if rerun != nil, !hosts.isEmpty || hostsFile != nil {
            throw ValidationError("--rerun takes the hosts of a run: -H and --hosts-file name others")
        }
        if runID != nil, rerun == nil { throw ValidationError("--run says of which run --rerun takes the hosts") }
        try OptionValue.notBlank(hosts, "--hosts")
        try OptionValue.notBlank(["--hosts-file": hostsFile, "--inventory": inventory])
        if let fanout, fanout < 1 { throw ValidationError("--fanout wants a number of at least 1") }
    }

    /// ssh and its pipes take some descriptors for each host.
    var limit: Int { fanout ?? max(4, min(200, (SystemCalls.descriptorLimit - 64) / 10)) }

    /// With their numbers, from 1.
    private static func lines(of path: String) throws(CommandFailure) -> [(Int, String)] {
        let text = String(decoding: try SystemCalls.readFile(path), as: UTF8.self)
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        return lines.enumerated().compactMap { index, line in
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            return words.isEmpty ? nil : (index + 1, words.joined(separator: " "))
        }
    }
}

/// Whom a command is for.
struct HostChoice: Sendable {
    var hosts: [Host]
    /// The run whose hosts they are, with `--rerun`. Read once: another martlet may have begun the last one since.
    var earlier: JournalRun?
    /// What `--inventory` says.
    var inventory: String?

    /// What this process was asked to do, for the journal: also with the inventory of the run whose hosts are taken.
    ///
    /// - Parameter command: as that of ``Invocation/init(_:passing:)``.
    func invocation(passing command: [String] = []) -> Invocation {
        var invocation = Invocation(passing: command)
        if inventory == nil, let then = earlier?.inventory { invocation.name(inventory: then) }
        return invocation
    }
}
