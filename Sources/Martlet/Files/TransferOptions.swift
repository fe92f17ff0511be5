/// How files are copied.
public struct TransferOptions: Sendable {
    /// When a file that is there is overwritten.
    public enum Overwrite: Sendable, Hashable {
        case always
        /// A single file is an error, `fileExists`; of a tree only what is not there is copied.
        case never
        /// If the source was changed later.
        case ifNewer
        /// If size or content differ: both are read for that.
        case ifDifferent
    }

    /// Permission bits of files. `nil`: those of the source, without setuid and setgid; for bytes those of the file that is
    /// there, else what the umask leaves of 0o666. Folders have those of the source; one that is there keeps its own.
    public var mode: UInt32?
    /// Whose the files are to be. `nil`: those that are there keep theirs, as far as the writer may say so; new ones are the
    /// writer's. A file that a stranger has left where others may write, as in `/tmp`, counts as none.
    public var owner: FileOwner?
    /// User and group of the source, by their numbers, with setuid and setgid. Default: no.
    public var preservesOwner = false
    /// The times of the last change. Default: no.
    public var preservesTimes = false
    /// When a file that is there is overwritten. Default: always.
    public var overwrite = Overwrite.always
    /// Makes the folders that lead to the destination. Default: no; then it is an error if they are not there.
    public var createsParents = false
    /// What was written before a transfer broke off stays beside the name, and the next goes on from there, if its source is
    /// the same by name, size and time, and its beginning by checksum; if it is another, that goes. Of several targets behind
    /// one link those that have the same go on together, the others behind them. Default: nothing stays.
    public var resumes = false
    /// In trees, copies what links stand for. Default: links are copied as links.
    public var followsLinks = false
    /// Which files of a tree are copied. Default: all.
    public var filters: [FileFilter] = []
    /// All is on the disk when the transfer is over: a single file before it gets its name, a tree at the end, at once.
    /// Default: yes.
    public var isDurable = true

    /// All as by default.
    public init() {}

    var wire: FileOptions {
        var options = FileOptions()
        if preservesOwner { options.flags.insert(.preservesOwner) }
        if preservesTimes { options.flags.insert(.preservesTimes) }
        if createsParents { options.flags.insert(.createsParents) }
        if resumes { options.flags.insert(.resumes) }
        if followsLinks { options.flags.insert(.followsLinks) }
        if isDurable { options.flags.insert(.isDurable) }
        options.comparison =
            switch overwrite {
            case .always: .always
            case .never: .never
            case .ifNewer: .ifNewer
            case .ifDifferent: .byContent
            }
        (options.mode, options.owner, options.filters) = (mode.map { $0 & 0o7777 }, owner, filters)
        return options
    }
}

/// What came of a transfer that succeeded.
public struct TransferResult: Sendable, Hashable {
    /// The absolute path of what was written; of what was read, if it was not written anywhere.
    public var path: [UInt8]
    /// How much content has passed.
    public var byteCount: Int
    /// How many files have passed: those that were as they should be did not.
    public var fileCount: Int
    /// XXH64 of the content, if it was a single file that has passed.
    public var checksum: UInt64?
}
