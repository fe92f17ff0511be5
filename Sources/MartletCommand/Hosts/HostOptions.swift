import ArgumentParser

/// Which hosts a command is for.
struct HostOptions: ParsableArguments {
    @Option(
        name: [.customShort("H"), .customLong("hosts")],
        help: "Hosts, separated by commas: [user@]name[:port] for ssh, or local for this machine; may be repeated."
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

    /// - Throws: `ValidationError` for a name that is none, or if there is no host at all.
    func list() throws -> [Host] {
        var texts = hosts.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        do {
            if let hostsFile { texts += try Self.lines(of: hostsFile) }
            guard !texts.isEmpty else {
                throw ValidationError("name hosts with -H or --hosts-file; options stand before the command")
            }
            return Host.list(try texts.map { try HostName($0) })
        } catch let failure as CommandFailure {
            throw ValidationError(failure.description)
        }
    }

    func validate() throws {
        if let fanout, fanout < 1 { throw ValidationError("--fanout wants a number of at least 1") }
    }

    /// ssh and its pipes take some descriptors for each host.
    var limit: Int { fanout ?? max(4, min(200, (SystemCalls.descriptorLimit - 64) / 10)) }

    private static func lines(of path: String) throws(CommandFailure) -> [String] {
        let text = String(decoding: try SystemCalls.readFile(path), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            return words.isEmpty ? nil : words.joined(separator: " ")
        }
    }
}
