/// What the receiver of a tree has done.
struct FileReport: Sendable {
    /// What the tree's root has become.
    var path: [UInt8] = []
    var fileCount = 0
    var byteCount = 0
    /// Of the last file.
    var checksum: UInt64 = 0
    /// What was to come.
    var wantedFiles = 0
    var wantedCount = 0
    private(set) var failures: [FileFailure] = []
    private(set) var changes = PackedBytes()
    private(set) var changeCount = 0
    /// Changes that are not in the list, as it would have become too long.
    private(set) var omittedCount = 0

    /// Of the list of changes, in bytes.
    private static let limit = 16 << 20

    mutating func fail(_ path: [UInt8], _ reason: String) {
        if failures.count < FileFailure.limit { failures.append(FileFailure(path: path, reason: reason)) }
    }

    mutating func add(_ change: SyncChange) {
        guard changes.bytes.count < Self.limit else { return omittedCount += 1 }
        changeCount += 1
        changes.bytes.append(change.kind.code | (change.isFolder ? 8 : 0))
        changes.add(change.path)
    }

    // MARK: The wire

    func pack(into packed: inout PackedBytes) {
        packed.add(path)
        packed.add(fileCount)
        packed.add(byteCount)
        packed.add(fixed: checksum)
        packed.add(wantedFiles)
        packed.add(wantedCount)
        Self.pack(failures, into: &packed)
        packed.add(changeCount)
        packed.add(changes.bytes)
        packed.add(omittedCount)
    }

    init() {}

    init(_ reader: inout PackedReader) throws(MartletError) {
        path = try reader.string()
        (fileCount, byteCount) = (try reader.summand(), try reader.summand())
        checksum = try reader.fixed()
        (wantedFiles, wantedCount) = (try reader.summand(), try reader.summand())
        failures = try Self.failures(&reader)
        changeCount = try reader.summand()
        changes.bytes = try reader.string()
        omittedCount = try reader.summand()
    }

    func list() throws(MartletError) -> [SyncChange] {
        var list: [SyncChange] = []
        var failure: MartletError?
        changes.bytes.withUnsafeBytes { bytes in
            var reader = PackedReader(bytes)
            do throws(MartletError) {
                while !reader.isAtEnd {
                    let code = try reader.byte()
                    guard let kind = SyncChange.Kind(code: code & 7) else { throw PackedReader.damaged }
                    list.append(SyncChange(kind: kind, path: try reader.string(), isFolder: code & 8 != 0))
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return list
    }

    static func pack(_ failures: [FileFailure], into packed: inout PackedBytes) {
        packed.add(failures.count)
        for failure in failures {
            packed.add(failure.path)
            packed.add(failure.reason)
        }
    }

    static func failures(_ reader: inout PackedReader) throws(MartletError) -> [FileFailure] {
        var failures: [FileFailure] = []
        for _ in 0..<(try reader.count()) {
            failures.append(FileFailure(path: try reader.string(), reason: try reader.text()))
        }
        return failures
    }
}

/// Something that ``Context/sync(_:to:options:onProgress:)`` does, or would do.
public struct SyncChange: Sendable, Hashable {
    /// What is done.
    public enum Kind: String, Sendable {
        /// It was not there.
        case created
        /// Its content, or what kind of thing it is, was another.
        case updated
        /// Only its mode, owner or time was another.
        case metadata
        /// The source does not have it.
        case deleted
    }

    /// What is done.
    public var kind: Kind
    /// In the tree; empty for its root.
    public var path: [UInt8]
    /// Of a folder that is deleted what is in it is not listed.
    public var isFolder: Bool
}

extension SyncChange.Kind {
    private static let all: [Self] = [.created, .updated, .metadata, .deleted]

    fileprivate var code: UInt8 { UInt8(Self.all.firstIndex(of: self)!) }
    fileprivate init?(code: UInt8) {
        guard code < Self.all.count else { return nil }
        self = Self.all[Int(code)]
    }
}

extension PackedReader {
    /// A count that the reports of many can be added with: nothing that a context claims overflows here.
    fileprivate mutating func summand() throws(MartletError) -> Int { min(try count(), 1 << 48) }
}
