import ArgumentParser
import Martlet

/// Which hosts a command is for.
struct HostOptions: ParsableArguments {
    @Option(
        name: [.customShort("H"), .customLong("hosts")],
        help: ArgumentHelp(
            """
            Hosts, separated by commas: [user@]name[:port] for ssh, local for this machine, web[1-20] for many, \
            ssh:web1/ssh:db1 for one through the other; see 'martlet specs'. May be repeated.
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

    /// - Throws: `ValidationError` for a name that is none, or if there is no host at all.
    func list() throws -> [Host] {
        var names = try Self.names(hosts.flatMap(HostExpansion.split))
        if let hostsFile {
            let lines: [(Int, String)]
            do { lines = try Self.lines(of: hostsFile) } catch { throw ValidationError(error.description) }
            for (number, text) in lines { names += try Self.names([text], "\(hostsFile):\(number): ") }
        }
        guard !names.isEmpty else {
            throw ValidationError("name hosts with -H or --hosts-file; options stand before the command")
        }
        return Host.list(names)
    }

    /// - Parameter place: where they were given, for the error.
    /// - Throws: `ValidationError` for one that is none.
    static func names(_ texts: [String], _ place: String = "") throws -> [HostName] {
        do { return try texts.flatMap { try HostName.list($0) } } catch let error as SpecError {
            throw ValidationError(place + error.description)
        }
    }

    func validate() throws {
        _ = try Self.names(hosts.flatMap(HostExpansion.split))
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
