#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How files are written, as both sides of a transfer know it.
struct FileOptions: Sendable {
    struct Flags: OptionSet {
        var rawValue: UInt64
        /// The destination is what the tree's root becomes, also if it is a folder.
        static let isExact = Flags(rawValue: 1)
        static let createsParents = Flags(rawValue: 2)
        static let preservesTimes = Flags(rawValue: 4)
        static let preservesOwner = Flags(rawValue: 8)
        static let resumes = Flags(rawValue: 16)
        static let followsLinks = Flags(rawValue: 32)
        static let isDurable = Flags(rawValue: 64)
        /// What the source does not have is deleted, and what is of another kind is replaced.
        static let deletes = Flags(rawValue: 128)
        static let isDryRun = Flags(rawValue: 256)
        /// The list of what has changed is wanted, and folders that are there become as the source's are.
        static let isSync = Flags(rawValue: 512)
    }

    enum Comparison: UInt64 {
        case always = 0
        case never = 1
        case ifNewer = 2
        /// By size and checksum.
        case byContent = 3
        /// By size and time.
        case byTime = 4
    }

    var flags: Flags = []
    var comparison = Comparison.always
    var mode: UInt32?
    var owner: FileOwner?
    var filters: [FileFilter] = []

    func pack(into packed: inout PackedBytes) {
        packed.add(flags.rawValue)
        packed.add(comparison.rawValue)
        packed.add(UInt64(mode.map { $0 + 1 } ?? 0))
        packed.add(owner?.user ?? "")
        packed.add(owner?.group ?? "")
        packed.add(filters.count)
        for filter in filters {
            packed.add(UInt64(filter.isIncluded ? 1 : 0))
            packed.add(filter.pattern)
        }
    }

    init() {}

    init(_ reader: inout PackedReader) throws(MartletError) {
        flags = Flags(rawValue: try reader.number())
        comparison = Comparison(rawValue: try reader.number()) ?? .always
        let mode = try reader.small()
        if mode > 0 { self.mode = (mode - 1) & 0o7777 }
        let (user, group) = (try reader.text(), try reader.text())
        if !(user.isEmpty && group.isEmpty) {
            owner = FileOwner(user: user.isEmpty ? nil : user, group: group.isEmpty ? nil : group)
        }
        for _ in 0..<(try reader.count()) {
            let isIncluded = try reader.number() == 1
            filters.append(FileFilter(pattern: try reader.string(), isIncluded: isIncluded))
        }
    }

    func contains(_ flag: Flags) -> Bool { flags.contains(flag) }
}

/// Whose a file is to be: names of the machine that it is on, or numbers.
public struct FileOwner: Sendable, Hashable {
    /// `nil`: it stays, or is the writer.
    public var user: String?
    /// `nil`: it stays, or is the writer's.
    public var group: String?

    /// By names or numbers.
    public init(user: String? = nil, group: String? = nil) { (self.user, self.group) = (user, group) }

    /// The numbers, on this machine; -1 for what stays. Only what is in `/etc/passwd` and `/etc/group` has a name: the agent
    /// has no way to ask a directory service.
    func numbers() throws(MartletError) -> (UInt32, UInt32) {
        (try Self.number(user, "/etc/passwd", "user"), try Self.number(group, "/etc/group", "group"))
    }

    private static func number(_ name: String?, _ file: String, _ what: String) throws(MartletError) -> UInt32 {
        guard let name, !name.isEmpty else { return .max }
        if let number = UInt32(name) { return number }
        var bytes: [UInt8] = []
        if let source = try? FileSource(file.pathBytes) {
            while let part = try? source.next(), !part.isEmpty, bytes.count < 16 << 20 { bytes += part }
        }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count > 2, fields[0].elementsEqual(name.utf8) else { continue }
            if let number = UInt32(String(decoding: fields[2], as: UTF8.self)) { return number }
        }
        throw MartletError(
            .fileFailed, "there is no \(what) \"\(name)\" in \(file)",
            advice: "give a number, if the \(what) comes from a directory service: id \(name)")
    }
}
