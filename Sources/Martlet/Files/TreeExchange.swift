/// What goes over the channel of a transfer. Its items begin with one of these.
///
/// The sender: pieces of the manifest, its end, pieces of the contents. The receiver: once, what it wants; but if the
/// manifest's end says that the contents follow at once, nothing.
enum TreeItem {
    static let manifest: UInt8 = 0
    /// The manifest is over. One byte follows: 1, the contents of all come now.
    static let manifestEnd: UInt8 = 1
    static let contents: UInt8 = 2
}

/// One side's part in a transfer.
enum TreeExchange {
    static let brokenOff = MartletError(.fileFailed, "the other side has broken the transfer off")

    /// Takes a tree in.
    static func receive(
        _ target: TreeTarget, _ channel: Channel<[UInt8]>, _ onProgress: (TreeTarget) -> Void
    ) async throws {
        while true {
            guard let item = try await channel.receive() else { throw brokenOff }
            if item.first == TreeItem.manifest {
                try target.add(piece: item.dropFirst())
            } else if item.first == TreeItem.manifestEnd {
                try target.endPlan()
                onProgress(target)
                if item.last != 1 { try await channel.send(target.wanted.packed) }
                break
            } else {
                throw PackedReader.damaged
            }
        }
        while !target.work.isDone {
            guard let item = try await channel.receive() else { throw brokenOff }
            guard item.first == TreeItem.contents else { throw PackedReader.damaged }
            try target.work.take(item, from: 1)
            onProgress(target)
        }
    }

    /// Sends a manifest.
    ///
    /// - Parameter isEager: the contents of all follow at once.
    /// - Returns: what the receiver wants.
    static func offer(
        _ manifest: Manifest, _ channel: Channel<[UInt8]>, isEager: Bool = false
    ) async throws -> WantedFiles {
        for piece in manifest.pieces { try await channel.send([TreeItem.manifest] + piece) }
        try await channel.send([TreeItem.manifestEnd, isEager ? 1 : 0])
        if isEager {
            var all = WantedFiles()
            for index in 0..<manifest.count { all[index] = true }
            return all
        }
        guard let item = try await channel.receive() else { throw brokenOff }
        return try WantedFiles(packed: item)
    }
}

/// A tree of this machine that is sent, to one or to many. Once it is made it is only read.
final class TreeSource {
    /// Without links.
    let path: [UInt8]
    let manifest: Manifest
    private let root: [UInt8]
    private let options: FileOptions
    /// What could not be looked at.
    let failures: [FileFailure]

    /// Looks at all of it.
    init(
        _ path: [UInt8], _ options: FileOptions, isIncluded: (@Sendable ([UInt8], FileStatus) -> Bool)? = nil
    ) throws {
        guard !path.isEmpty, !path.contains(0) else { throw MartletError(.misuse, "\"\(path.shown)\" is no path") }
        let path = path.expandingHome
        var scan = TreeScan(
            filters: options.filters, followsLinks: options.contains(.followsLinks),
            hasChecksums: options.comparison == .byContent, rebasesLinks: options.contains(.isSync),
            isIncluded: isIncluded)
        try scan.run(path)
        (root, self.options, manifest, failures) = (path, options, scan.manifest, scan.failures)
        self.path = realPath(path) ?? path
    }

    /// Whether a path stands for what is in a folder: it ends in `/`, `.` or `..`.
    static func isContents(_ path: [UInt8]) -> Bool {
        path.last == [UInt8].slash || !path.splitPath.name.isFileName
    }

    /// It is one file.
    var isSingle: Bool { manifest.count == 1 && manifest.fileCount == 1 }

    /// One file that is wanted whatever is there: nobody needs to be asked.
    private var isEager: Bool { isSingle && options.comparison == .always && !options.contains(.resumes) }

    /// - Parameters:
    ///   - mayBeEager: the other side may be sent what it was not asked for.
    ///   - onProgress: told now and then.
    /// - Returns: what could not be read.
    func send(
        over channel: Channel<[UInt8]>, mayBeEager: Bool = true, _ onProgress: (ContentSource) -> Void
    ) async throws -> [FileFailure] {
        let wanted = try await TreeExchange.offer(manifest, channel, isEager: mayBeEager && isEager)
        let contents = ContentSource(manifest, root, wanted, followsLinks: options.contains(.followsLinks))
        while let piece = try contents.next(TreeItem.contents) {
            try await channel.send(piece)
            onProgress(contents)
        }
        let failures = failures + contents.failures
        if isSingle, let failure = failures.first { throw FileError("read", root, 0, failure.reason) }
        return failures
    }
}
