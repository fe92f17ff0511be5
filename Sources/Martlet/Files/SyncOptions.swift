/// How folders are made alike.
public struct SyncOptions: Sendable {
    /// Deletes what the source does not have, and replaces what is of another kind. What ``filters`` exclude stays; and so
    /// does what is in a folder of which the source could not read all. A folder with something excluded is not replaced, which
    /// is told. Default: no.
    public var deletes = false
    /// Compares size and content. Default: size and time of the last change.
    public var comparesContent = false
    /// Changes nothing, and lists what would be.
    public var isDryRun = false
    /// Which files are meant. Default: all.
    public var filters: [FileFilter] = []
    /// Which files are meant as well: told the path in the tree, not asked for what is in folders that are not meant. Unlike
    /// what ``filters`` exclude, what this does not let pass is deleted where ``deletes`` says so.
    public var isIncluded: (@Sendable (_ path: [UInt8], _ status: FileStatus) -> Bool)?
    /// User and group of the source, by their numbers, with setuid and setgid. Default: no.
    public var preservesOwner = false
    /// Whose all is to be. `nil`: what is there keeps its owner, what is new is the writer's.
    public var owner: FileOwner?
    /// Makes the folders that lead to the destination. Default: no; then it is an error if they are not there.
    public var createsParents = false
    /// Copies what links stand for. Default: links are copied as links; one with an absolute path to something in the folder
    /// leads to the copy of that.
    public var followsLinks = false
    /// All is on the disk when it is over. Default: yes.
    public var isDurable = true

    /// All as by default.
    public init() {}

    var wire: FileOptions {
        var options = FileOptions()
        options.flags = [.isExact, .isSync, .preservesTimes]
        if deletes { options.flags.insert(.deletes) }
        if isDryRun { options.flags.insert(.isDryRun) }
        if preservesOwner { options.flags.insert(.preservesOwner) }
        if createsParents { options.flags.insert(.createsParents) }
        if followsLinks { options.flags.insert(.followsLinks) }
        if isDurable { options.flags.insert(.isDurable) }
        options.comparison = comparesContent ? .byContent : .byTime
        (options.owner, options.filters) = (owner, filters)
        return options
    }
}

/// A folder in a context.
public struct SyncTarget: Sendable {
    /// Where it is.
    public var context: Context
    /// Its path there.
    public var path: [UInt8]

    /// A folder by its path; its parent must be there, unless ``SyncOptions/createsParents``.
    public init(_ context: Context, _ path: some PathName) { (self.context, self.path) = (context, path.pathBytes) }
}

/// What came of one target.
public struct SyncOutcome: Sendable {
    /// Of which target.
    public var target: SyncTarget
    /// What was done, or would be, in the order of the tree.
    public var changes: [SyncChange] = []
    /// Changes that are not listed, as the list would have become too long.
    public var omittedChanges = 0
    /// What could not be read or written; everything else was.
    public var failures: [FileFailure] = []
    /// Why all of it failed. Some may have been done.
    public var error: MartletError?
    /// How many files were written.
    public var fileCount = 0
    /// How much content was written.
    public var byteCount = 0
    /// From the start of its transfer.
    public var duration = Duration.zero

    /// Whether the target is as the source.
    public var succeeded: Bool { error == nil && failures.isEmpty }

    /// What did not succeed, as an error.
    public func get() throws(MartletError) {
        if let error { throw error }
        guard failures.isEmpty else { throw .incomplete(failures, target.path, target.context.route) }
    }
}
