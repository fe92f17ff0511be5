import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Takes a tree of files in. First the manifest comes, and is compared with what is there: that is the plan. Then the contents
/// come, and everything is done in the manifest's order: whatever is written is written beside its name. It blocks.
///
/// Whoever sends may lie: nothing is opened but by a name in a folder that is open, and no link is followed on the way.
final class TreeTarget {
    /// What is to be done with an entry.
    enum Step: UInt8 {
        case keep, create, update, metadata
        /// Something of another kind is there, and goes first.
        case replace
        /// It cannot be done, which was told.
        case skip
    }

    /// A folder that is being compared.
    struct PlannedFolder {
        var descriptor: Int32
        var path: [UInt8]
        var index: Int
        var isSkipped = false
        /// What is there and was not seen in the manifest; `nil` if that does not matter.
        var extras: Set<[UInt8]>?
    }

    let destination: [UInt8]
    let options: FileOptions
    /// In the process that asked: for errors.
    let isHere: Bool
    let manifest = Manifest()
    var wanted = WantedFiles()
    var report = FileReport()
    private var cursor = ManifestCursor()
    private(set) var steps: [UInt8] = []
    /// What is to be deleted from a folder, by its number.
    var deletions: [Int: [[UInt8]]] = [:]
    private var folders: [PlannedFolder] = []
    /// The folder that the root is in. -1: it is not there.
    private(set) var parent: Int32 = -1
    private(set) var rootName: [UInt8] = []
    /// What was asked for: no other name is taken from who sends it.
    var expectedName: [UInt8]?
    private(set) var rootKind = FileEntry.Kind.file
    private(set) var owner: (UInt32, UInt32)?
    var work: TreeWork!
    var removal: TreeRemoval { TreeRemoval(filters: options.filters, root: report.path) }

    init(_ destination: [UInt8], _ options: FileOptions, isHere: Bool) throws(MartletError) {
        guard !destination.isEmpty, !destination.contains(0) else {
            throw MartletError(.misuse, "\"\(destination.shown)\" is no path")
        }
        (self.destination, self.options, self.isHere) = (destination.expandingHome, options, isHere)
        owner = try options.owner?.numbers()
        work = TreeWork(self)
    }

    deinit {
        // A file that is not whole goes first: its folder must be open for that.
        work = nil
        for folder in folders { closeDescriptor(folder.descriptor) }
        closeDescriptor(parent)
    }

    func step(_ index: Int) -> Step { Step(rawValue: steps[index]) ?? .skip }

    /// Whether all of it is one file or link: then its failure is that of all.
    var isSingle: Bool { rootKind != .folder }

    /// Runs `body`, with the system's errors as users see them.
    func telling<R>(_ body: () throws -> R) throws(MartletError) -> R {
        do { return try body() } catch let error as FileError { throw error.error(isHere: isHere) } catch {
            throw error as? MartletError ?? MartletError(.fileFailed, "\(error)")
        }
    }

    /// Notes that something could not be done. It throws what ends the transfer.
    func fail(_ path: [UInt8], _ error: FileError) throws(FileError) {
        if isSingle || path.isEmpty || error.endsAll { throw error }
        report.fail(path, error.reason)
    }

    var alreadyThere: MartletError {
        MartletError(
            .fileExists, "\(report.path.shown)\(isHere ? " here" : "") is there already",
            advice: "nothing was changed; let it be overwritten, or give another name")
    }

    // MARK: The plan

    func add(piece: ArraySlice<UInt8>) throws(MartletError) {
        try telling {
            try manifest.add(piece: piece)
            while let entry = try cursor.next(manifest) { try plan(entry) }
        }
    }

    /// The manifest is over.
    func endPlan() throws(MartletError) {
        guard cursor.isAtEnd else { throw PackedReader.damaged }
        if options.contains(.isDryRun) { wanted = WantedFiles() }
    }

    private func plan(_ entry: FileEntry) throws {
        if entry.kind == .leave { return leave(isIncomplete: entry.isIncomplete) }
        if entry.index == 0 { try findRoot(entry) }
        let name = entry.index == 0 ? rootName : entry.name
        let path = entry.index == 0 ? [] : folders[folders.count - 1].path.appending(path: name)
        if let last = folders.indices.last { folders[last].extras?.remove(name) }
        let folder = folders.last?.descriptor ?? parent
        var step = Step.create
        if folders.last?.isSkipped == true {
            step = .skip
        } else if folder >= 0 {
            let (file, number) = fileStatus(folder, name, follows: false)
            if number == 0 {
                step = try self.step(entry, path, folder, name, file)
            } else if number != ENOENT {
                try fail(path, FileError("write", shown(path), number))
                step = .skip
            }
        }
        steps.append(step.rawValue)
        switch (entry.kind, step) {
        case (.file, .create), (.file, .update), (.file, .replace):
            wanted[entry.index] = true
            // Whoever lies may claim any sizes: they are for people, and must not add up to a crash.
            report.wantedCount &+= entry.size
            report.wantedFiles += 1
            if options.contains(.resumes) { findPart(entry, folder, name) }
        case (.folder, _): try enter(entry, path, folder, name, step)
        default: break
        }
        switch step {
        case .keep, .skip: break
        case .create: note(.created, path, entry)
        case .update, .replace: note(.updated, path, entry)
        case .metadata: note(.metadata, path, entry)
        }
    }

    private func note(_ kind: SyncChange.Kind, _ path: [UInt8], _ entry: FileEntry) {
        if options.contains(.isSync) { report.add(SyncChange(kind: kind, path: path, isFolder: entry.kind == .folder)) }
    }

    func shown(_ path: [UInt8]) -> [UInt8] { path.isEmpty ? report.path : report.path.appending(path: path) }

    private func step(
        _ entry: FileEntry, _ path: [UInt8], _ folder: Int32, _ name: [UInt8], _ file: martlet_file
    ) throws -> Step {
        let kind = Int(file.kind)
        let isOfKind =
            switch entry.kind {
            case .folder: kind == MARTLET_DIRECTORY
            // A file takes a link's name in a tree; of a single one the link's target was looked up.
            case .file, .link: kind == MARTLET_FILE || kind == MARTLET_LINK
            case .leave: true
            }
        if options.comparison == .never, entry.kind != .folder {
            guard isSingle else { return .keep }
            throw alreadyThere
        }
        guard isOfKind else {
            if options.contains(.deletes), !path.isEmpty {
                do throws(FileError) { try removal.check(folder, name, path) } catch {
                    try fail(path, error)
                    return .skip
                }
                return .replace
            }
            let reason =
                switch kind {
                case MARTLET_DIRECTORY: "a folder is there"
                case MARTLET_LINK: "a link is there, where a folder is to be"
                case MARTLET_FILE: "a file is there, where a folder is to be"
                default: "it is no regular file"
                }
            try fail(path, FileError("write", shown(path), 0, reason))
            return .skip
        }
        let isSame: Bool
        switch entry.kind {
        case .folder, .leave: isSame = true
        case .link: isSame = kind == MARTLET_LINK && readLink(folder, name) == linkTarget(entry)
        case .file:
            let isSameTime = Self.isSameTime(entry, file)
            switch options.comparison {
            case .always, .never: isSame = false
            case .ifNewer:
                isSame =
                    kind == MARTLET_FILE
                    && (isSameTime || (file.seconds, file.nanoseconds) > (entry.seconds, entry.nanoseconds))
            case .byTime: isSame = kind == MARTLET_FILE && isSameTime && file.size == Int64(entry.size)
            case .byContent:
                isSame =
                    kind == MARTLET_FILE && file.size == Int64(entry.size)
                    && checksum(folder, name) == entry.checksum
            }
        }
        guard isSame else { return .update }
        if entry.kind == .folder, !options.contains(.isSync) { return .keep }
        if entry.kind == .link || options.comparison == .ifNewer { return .keep }
        return needsMetadata(entry, file) ? .metadata : .keep
    }

    func linkTarget(_ entry: FileEntry) -> [UInt8] {
        entry.isInside ? report.path.appending(path: entry.target) : entry.target
    }

    /// Some file systems know no parts of a second.
    private static func isSameTime(_ entry: FileEntry, _ file: martlet_file) -> Bool {
        entry.seconds == file.seconds
            && (entry.nanoseconds == file.nanoseconds || file.nanoseconds == 0 || entry.nanoseconds == 0)
    }

    private func checksum(_ folder: Int32, _ name: [UInt8]) -> UInt64? {
        guard let source = try? FileSource(folder, name, follows: false, name) else { return nil }
        var checksum = FileChecksum()
        return checksum.add(contentOf: source.descriptor) == 0 ? checksum.value : nil
    }

    /// Permission bits for an entry; `nil`: what the umask leaves.
    func mode(_ entry: FileEntry, _ old: martlet_file?) -> UInt32? {
        if entry.kind == .file, let mode = options.mode { return mode }
        guard let mode = entry.mode else { return old?.mode }
        if options.contains(.preservesOwner) { return mode }
        // Whoever owns a program that runs as its owner should have been asked.
        return mode & 0o777 | (entry.kind == .folder ? (old?.mode ?? 0) & 0o7000 : 0)
    }

    /// Who is to own an entry; `nil`: nobody said so.
    func owner(_ entry: FileEntry) -> (UInt32, UInt32)? {
        owner ?? (options.contains(.preservesOwner) ? (entry.user, entry.group) : nil)
    }

    private func needsMetadata(_ entry: FileEntry, _ file: martlet_file) -> Bool {
        if let mode = mode(entry, file), mode != file.mode { return true }
        if let (user, group) = owner(entry) {
            if user != .max && user != file.user || group != .max && group != file.group { return true }
        }
        return options.contains(.preservesTimes) && !Self.isSameTime(entry, file)
    }

    private func enter(
        _ entry: FileEntry, _ path: [UInt8], _ folder: Int32, _ name: [UInt8], _ step: Step
    ) throws {
        var planned = PlannedFolder(descriptor: -1, path: path, index: entry.index, isSkipped: step == .skip)
        if step == .keep || step == .metadata {
            planned.descriptor = openFolder(folder, name)
            if planned.descriptor < 0 {
                let error = FileError("write", shown(path), errno)
                // The whole tree.
                if path.isEmpty { throw error }
                try fail(path, error)
                planned.isSkipped = true
            } else if options.contains(.deletes) {
                let (names, number) = namesInFolder(planned.descriptor)
                if number == 0 {
                    planned.extras = Set(names)
                } else {
                    try fail(path, FileError("read", shown(path), number))
                }
            }
        }
        folders.append(planned)
    }

    private func leave(isIncomplete: Bool) {
        let folder = folders.removeLast()
        defer { closeDescriptor(folder.descriptor) }
        // What could not be read there is not for that reason to be deleted here.
        guard let extras = folder.extras, !extras.isEmpty, !isIncomplete else { return }
        var names: [[UInt8]] = []
        for name in extras.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let (file, number) = fileStatus(folder.descriptor, name, follows: false)
            let path = folder.path.appending(path: name)
            let isFolder = file.kind == UInt32(MARTLET_DIRECTORY)
            guard number == 0, FileFilter.includes(path, isFolder: isFolder, options.filters) else { continue }
            names.append(name)
            if options.contains(.isSync) { report.add(SyncChange(kind: .deleted, path: path, isFolder: isFolder)) }
        }
        if !names.isEmpty { deletions[folder.index] = names }
    }

    // MARK: Parts

    /// The name of a part of this very file.
    func partName(_ entry: FileEntry) -> [UInt8]? {
        guard options.contains(.resumes) else { return nil }
        var packed = PackedBytes()
        packed.add(entry.name)
        packed.add(entry.size)
        packed.add(signed: entry.seconds)
        packed.add(UInt64(entry.nanoseconds))
        var checksum = FileChecksum()
        packed.bytes.withUnsafeBytes { checksum.add($0) }
        let digits = String(checksum.value, radix: 16)
        return Array((String(repeating: "0", count: 16 - digits.count) + digits).utf8)
    }

    private func findPart(_ entry: FileEntry, _ folder: Int32, _ name: [UInt8]) {
        guard folder >= 0, let part = partName(entry) else { return }
        let file = FileTarget.partialName(for: name, part)
        guard let source = try? FileSource(folder, file, follows: false, file), source.status.user == geteuid() else {
            return
        }
        var count = min(entry.size, Int(source.status.size))
        if count > Self.partStep { count -= count % Self.partStep }
        var checksum = FileChecksum()
        guard checksum.add(contentOf: source.descriptor, limit: count) == 0, checksum.count > 0 else { return }
        wanted.parts[entry.index] = WantedFiles.Part(count: checksum.count, checksum: checksum.value)
    }

    /// In bytes. Several that a relay fed have rarely the same to the byte when it breaks off; in such steps they have it, and
    /// go on together.
    private static let partStep = 4 << 20

    // MARK: The root

    /// Where the tree goes.
    private func findRoot(_ entry: FileEntry) throws {
        // Of a root that is a link its target is sent; and a name that nobody asked for could be any file's.
        guard entry.kind != .link, expectedName == nil || entry.name == expectedName else { throw PackedReader.damaged }
        rootKind = entry.kind
        report.path = destination
        let (there, number) = fileStatus(destination, follows: true)
        var folder = destination
        // What the other side says; looked at before anything is made of it.
        var name = entry.name
        var goesIntoFolder = false
        func checkName() throws {
            if name.isEmpty { throw FileError("write", destination, EISDIR) }
            guard name.isFileName else {
                throw FileError("write", destination, 0, "\"\(name.shown)\" cannot be the name of a file in it")
            }
        }
        if number == 0, there.kind == UInt32(MARTLET_DIRECTORY) {
            if options.contains(.isExact) {
                guard entry.kind == .folder else { throw FileError("write", destination, EISDIR) }
                name = [UInt8(ascii: ".")]
            } else {
                try checkName()
                goesIntoFolder = true
            }
        } else if number != 0 && number != ENOENT {
            throw FileError("write", destination, number)
        } else if options.contains(.isExact) || destination.last != [UInt8].slash {
            (folder, name) = destination.splitPath
            try checkName()
        } else {
            try checkName()
        }
        rootName = name
        var place = FilePlace(folder, name)
        if place.folder < 0, errno == ENOENT, options.contains(.createsParents) {
            if options.contains(.isDryRun) { return }
            try makeFolders(folder)
            place = FilePlace(folder, name)
        }
        guard place.folder >= 0 else {
            let number = errno
            var error = FileError("write", destination, number).error(isHere: isHere)
            if number == ENOENT {
                error.advice =
                    "make the folder \(folder.withoutSlashes.shown) first, or have it made: createsParents"
            }
            throw error
        }
        defer { parent = place.folder }
        // A link that a transfer may have left in a folder of ours leads nowhere.
        if entry.kind == .file, !(isHere && goesIntoFolder) { try place.followLinks(destination) }
        rootName = place.name
        let real = realPath(place.path) ?? place.path
        report.path = rootName == [UInt8(ascii: ".")] ? real : real.appending(path: rootName)
    }

    private func makeFolders(_ path: [UInt8]) throws(FileError) {
        for end in path.indices.dropFirst() where path[end] == [UInt8].slash {
            _ = withPath(Array(path[..<end])) { mkdir($0, 0o777) }
        }
        guard withPath(path, { mkdir($0, 0o777) }) == 0 || errno == EEXIST else {
            throw FileError("write", path, errno)
        }
    }
}
