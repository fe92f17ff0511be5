public import Martlet

/// Files there and back; see ``Context/put(_:to:options:onProgress:)``. In each path `{host}` stands for a member's name, as
/// one name of a file: a slash in it becomes `_`.
extension Group {
    /// Copies a file or a folder from this machine to every member's.
    ///
    ///     try await web.put("app.conf", to: "/etc/app/")
    ///     try await web.put("keys/{host}.pem", to: "/etc/ssl/own.pem", options: secret)
    ///
    /// - Parameter onProgress: told of each member's transfer.
    /// - Throws: as ``call(_:timeout:)``.
    @discardableResult
    public func put(
        _ local: some PathName, to path: some PathName, options: TransferOptions = .init(),
        onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)? = nil
    ) async throws -> GroupResults<TransferResult> {
        let (source, target) = (MemberTemplate(local), MemberTemplate(path))
        return try await each { context, member in
            try await context.put(
                source.path(for: member), to: target.path(for: member), options: options,
                onProgress: progress(of: member, onProgress))
        }
    }

    /// Writes bytes to a file of every member's machine.
    ///
    /// - Throws: as ``call(_:timeout:)``.
    @discardableResult
    public func put(
        bytes: [UInt8], to path: some PathName, options: TransferOptions = .init()
    ) async throws -> GroupResults<TransferResult> {
        let target = MemberTemplate(path)
        return try await each { context, member in
            try await context.put(bytes: bytes, to: target.path(for: member), options: options)
        }
    }

    /// Copies a file or a folder of every member's machine to this one, each to a place of its own.
    ///
    ///     try await web.get("/etc/passwd", to: "fetches/passwd-{host}")
    ///
    /// - Throws: ``MartletError`` `misuse` if two members would write to the same path, before anything is begun; else as
    ///   ``call(_:timeout:)``.
    @discardableResult
    public func get(
        _ path: some PathName, to local: some PathName, options: TransferOptions = .init(),
        onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)? = nil
    ) async throws -> GroupResults<TransferResult> {
        let (source, target) = (MemberTemplate(path), MemberTemplate(local))
        _ = try target.paths(for: self)
        return try await each { context, member in
            try await context.get(
                source.path(for: member), to: target.path(for: member), options: options,
                onProgress: progress(of: member, onProgress))
        }
    }

    /// Reads a file of every member's machine.
    ///
    /// - Parameter limit: more bytes than this are an error. Default: 64 MiB.
    /// - Throws: as ``call(_:timeout:)``.
    public func read(_ path: some PathName, limit: Int = 64 << 20) async throws -> GroupResults<[UInt8]> {
        let source = MemberTemplate(path)
        return try await each { context, member in try await context.read(source.path(for: member), limit: limit) }
    }

    /// Makes a folder of every member's machine as one of this machine is; see ``Context/sync(_:to:options:onProgress:)``.
    ///
    /// The source is looked at once. Members that are behind one context get it over that one link, once: unless the
    /// strategy has batches, limits or more, which go member by member.
    ///
    /// - Throws: ``MartletError`` `fileFailed` if the source cannot be read; else as ``call(_:timeout:)``.
    @discardableResult
    public func sync(
        _ local: some PathName, to path: some PathName, options: SyncOptions = .init(),
        onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)? = nil
    ) async throws -> GroupResults<SyncOutcome> {
        let target = MemberTemplate(path)
        let source = try SyncSource(local, options)
        guard strategy.isPlain else {
            return try await each { context, member in
                try await context.sync(
                    source, to: target.path(for: member), options: options, onProgress: progress(of: member, onProgress)
                ).complete()
            }
        }
        // All have to be there first: then one stream serves all behind one link.
        let contexts = try await connect()
        let reached = contexts.successes
        var outcomes: [SyncOutcome] = []
        if !reached.isEmpty {
            outcomes = try await syncFolders(
                source, to: reached.map { SyncTarget($0.value, target.path(for: $0.member)) }, options: options
            ) { number, now in
                onProgress?(reached[number].member, now)
            }
        }
        var rest = outcomes[...]
        return GroupResults(
            self,
            contexts.map { result in
                result.mapOutcome { outcome in
                    guard case .ok = outcome, let synced = rest.popFirst() else { return outcome.withoutValue()! }
                    do throws(MartletError) { return .ok(try synced.complete()) } catch {
                        return error.code == .contextLost ? .unreachable(error) : .failed(error)
                    }
                }
            })
    }
}

/// A member's part of what is told of everybody's progress.
private func progress(
    of member: GroupMember, _ onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)?
) -> (@Sendable (TransferProgress) -> Void)? {
    guard let onProgress else { return nil }
    return { onProgress(member, $0) }
}

extension SyncOutcome {
    fileprivate func complete() throws(MartletError) -> SyncOutcome {
        try get()
        return self
    }
}

extension FleetStrategy {
    /// Whether all begin at once and once.
    var isPlain: Bool {
        batches.isEmpty && limit == nil && failures == .unlimited && retry == RetryPolicy() && memberDeadline == nil
            && verify == nil && !closesMembers
    }
}
