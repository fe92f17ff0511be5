import ArgumentParser
import Martlet

/// Which files of a folder are meant.
struct FilterArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Leave out what matches: '*.o' any such name, '/build' at the top, 'cache/' folders only, 'a/**/b' paths. May be \
            repeated.
            """, valueName: "pattern"))
    var exclude: [String] = []

    @Option(help: ArgumentHelp("Do not leave out what matches this; may be repeated.", valueName: "pattern"))
    var include: [String] = []

    var filters: [FileFilter] { include.map { .include($0) } + exclude.map { .exclude($0) } }

    func validate() throws {
        if (include + exclude).contains("") { throw ValidationError("--exclude and --include want a pattern") }
    }
}

/// What `put` and `get` have in common.
struct TransferArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Give files this mode, as in 0644. Default: the source's.", valueName: "octal"))
    var mode: String?

    @Option(
        help: ArgumentHelp("Give files this owner, by names or numbers: user, user:group or :group.", valueName: "owner"))
    var owner: String?

    @Flag(name: .shortAndLong, help: "Keep the times of the last change.")
    var preserve = false

    @Flag(help: "Make the folders that lead to the destination.")
    var parents = false

    @Option(
        help: ArgumentHelp(
            "What happens to files that are there: always (overwritten), never, newer, or different (in content).",
            valueName: "when"))
    var overwrite = OverwriteChoice.always

    @Flag(help: "Keep what was copied of a file when a transfer breaks off, and go on from there.")
    var resume = false

    @Flag(help: "In folders, copy what links stand for, not the links.")
    var followLinks = false

    @OptionGroup var filters: FilterArguments

    enum OverwriteChoice: String, ExpressibleByArgument, CaseIterable {
        case always, never, newer, different
    }

    func validate() throws { _ = try options() }

    /// - Throws: `ValidationError`.
    func options() throws -> TransferOptions {
        var options = TransferOptions()
        if let mode {
            guard let number = UInt32(mode, radix: 8), number <= 0o7777 else {
                throw ValidationError("--mode wants octal digits, as in 0644, not \"\(mode)\"")
            }
            options.mode = number
        }
        options.owner = try owner.map(Self.owner)
        options.preservesTimes = preserve
        options.createsParents = parents
        options.overwrite =
            switch overwrite {
            case .always: .always
            case .never: .never
            case .newer: .ifNewer
            case .different: .ifDifferent
            }
        (options.resumes, options.followsLinks, options.filters) = (resume, followLinks, filters.filters)
        return options
    }

    /// - Throws: `ValidationError`.
    static func owner(_ text: String) throws -> FileOwner {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, parts.contains(where: { !$0.isEmpty }) else {
            throw ValidationError("--owner wants user, user:group or :group, not \"\(text)\"")
        }
        return FileOwner(user: parts[0].isEmpty ? nil : parts[0], group: parts.count > 1 && !parts[1].isEmpty ? parts[1] : nil)
    }
}

/// How it is printed what comes of a transfer.
struct TransferReportOptions: ParsableArguments {
    @Flag(help: "Print JSON: one object a line.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, and nothing of what succeeded.")
    var quiet = false
}

/// What came of a transfer with one host.
struct TransferSummary: Sendable {
    var path: [UInt8] = []
    var files = 0
    var bytes = 0
    var changes: [SyncChange] = []
    var omittedChanges = 0
    var failures: [FileFailure] = []
}
