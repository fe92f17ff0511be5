import ArgumentParser
import Martlet
import Synchronization

/// Which files of a folder are meant.
struct FilterArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Leave out what matches: '*.o' any such name, '/build' at the top, 'cache/' folders only, 'a/**/b' paths. May be \
            repeated. Of these and --include the first that matches counts.
            """, valueName: "pattern"), transform: { try Rule(.exclude, $0) })
    var exclude: [Rule] = []

    @Option(
        help: ArgumentHelp(
            "Do not leave out what matches this, though an --exclude behind it does; may be repeated.",
            valueName: "pattern"), transform: { try Rule(.include, $0) })
    var include: [Rule] = []

    /// In the order in which they were given.
    var filters: [FileFilter] { (include + exclude).sorted { $0.place < $1.place }.map(\.filter) }

    /// One of either kind.
    struct Rule: Sendable {
        enum Kind { case include, exclude }

        // The parser reads the arguments in their order; which option came before which is not told otherwise.
        private static let count = Mutex(0)

        let filter: FileFilter
        let place: Int

        init(_ kind: Kind, _ pattern: String) throws {
            guard !pattern.isEmpty else { throw ValidationError("--exclude and --include want a pattern") }
            filter = kind == .include ? .include(pattern) : .exclude(pattern)
            place = Self.count.withLock { count in
                count += 1
                return count
            }
        }
    }
}

/// What `put` and `get` have in common.
struct TransferArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Give files this mode, as in 0644. Default: the source's.", valueName: "octal"))
    var mode: String?

    @Option(
        help: ArgumentHelp(
            "Give files this owner, by names or numbers: user, user:group or :group.", valueName: "owner"))
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

    /// What goes into the same folder under the same name would overwrite what has just been copied.
    ///
    /// - Throws: `ValidationError`.
    static func refuseTwins(_ sources: some Sequence<String>) throws {
        var seen: [String: String] = [:]
        for source in sources {
            let name = source.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init) ?? ""
            // Of a folder by such a path goes what is in it.
            guard !["", ".", ".."].contains(name) else { continue }
            if let twin = seen.updateValue(source, forKey: name) {
                throw ValidationError(
                    "\(source) would overwrite \(twin): both would be \"\(name)\" in one folder; copy them to two places"
                )
            }
        }
    }

    /// - Throws: `ValidationError`.
    static func owner(_ text: String) throws -> FileOwner {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, parts.contains(where: { !$0.isEmpty }) else {
            throw ValidationError("--owner wants user, user:group or :group, not \"\(text)\"")
        }
        return FileOwner(
            user: parts[0].isEmpty ? nil : parts[0], group: parts.count > 1 && !parts[1].isEmpty ? parts[1] : nil)
    }
}

/// How it is printed what comes of a transfer.
struct TransferReportOptions: ParsableArguments {
    @Flag(help: "Print JSON: one object a line.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, and nothing of what succeeded.")
    var quiet = false
}

/// What could be copied is there, but not all could.
struct IncompleteTransfer: Error, CustomStringConvertible {
    let summary: TransferSummary

    var description: String {
        "\(Format.count(summary.failures.count, "file")) \(summary.failures.count == 1 ? "was" : "were") not copied"
    }
}

/// What came of a transfer with one host.
struct TransferSummary: Sendable {
    var path: [UInt8] = []
    var files = 0
    var bytes = 0
    var changes: [SyncChange] = []
    var omittedChanges = 0
    /// What could not be copied, and why: then it is that of an ``IncompleteTransfer``.
    var failures: [FileFailure] = []
    /// All was as it is to be.
    var isSame = false

    /// - Parameter isOnly: there is no other, so that its path is that of all.
    @discardableResult
    mutating func add(_ result: TransferResult, isOnly: Bool) -> TransferSummary {
        if isOnly { path = result.path }
        files += result.fileCount
        bytes += result.byteCount
        return self
    }
}
