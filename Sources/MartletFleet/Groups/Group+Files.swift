public import Martlet
import MartletReactor

/// Files there and back; see ``Context/put(_:to:options:onProgress:)``. In each path `{host}` stands for a member's name, as
/// one name of a file: a slash in it becomes `_`.
extension Group {
    /// Copies a file or a folder from this machine to every member's.
    ///
    ///     try await web.put("app.conf", to: "/etc/app/")
    ///     try await web.put("keys/{host}.pem", to: "/etc/ssl/own.pem", options: secret)
    ///
    /// The source is looked at once, and members behind one gateway, or one context, get it over that one link once, those that
    /// are begun at the same time: who comes late, or is much slower than the others, gets it later, and holds nobody up. Only if
    /// `local` has a `{host}` each gets its own. A member whose time is up leaves the others to go on.
    ///
    /// - Parameter onProgress: told of each member's transfer.
    /// - Throws: as ``call(_:timeout:)``.
    @discardableResult
    public func put(
        _ local: some PathName, to path: some PathName, options: TransferOptions = .init(),
        onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)? = nil
    ) async throws -> GroupResults<TransferResult> {
        let (source, target) = (MemberTemplate(local), MemberTemplate(path))
        guard source.hasPlaces else {
            let source = Once { [path = local.pathBytes] in try DeliverySource(path, options) }
            return try await jointly(to: target, onProgress) { targets, onProgress, onFinish in
                try await source.value().put(to: targets, onProgress: onProgress, onFinish: onFinish)
            }
        }
        return try await each { context, member in
            try await context.put(
                source.path(for: member), to: target.path(for: member), options: options,
                onProgress: progress(of: member, onProgress))
        }
    }

    /// Writes bytes to a file of every member's machine; otherwise as ``put(_:to:options:onProgress:)``.
    ///
    /// - Throws: as ``call(_:timeout:)``.
    @discardableResult
    public func put(
        bytes: [UInt8], to path: some PathName, options: TransferOptions = .init()
    ) async throws -> GroupResults<TransferResult> {
        let source = try DeliverySource(bytes: bytes, options)
        return try await jointly(to: MemberTemplate(path), nil) { targets, onProgress, onFinish in
            try await source.put(to: targets, onProgress: onProgress, onFinish: onFinish)
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
    /// Members behind one gateway have it together, as with ``put(_:to:options:onProgress:)``.
    ///
    /// - Throws: ``MartletError`` `fileFailed` if the source cannot be read; else as ``call(_:timeout:)``.
    @discardableResult
    public func sync(
        _ local: some PathName, to path: some PathName, options: SyncOptions = .init(),
        onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)? = nil
    ) async throws -> GroupResults<SyncOutcome> {
        // Disks are read where that holds nobody up.
        let source = try await withTaskExecutorPreference(Reactor.shared) { try SyncSource(local, options) }
        return try await jointly(to: MemberTemplate(path), onProgress) { targets, onProgress, onFinish in
            _ = try await source.sync(to: targets, options: options, onProgress: onProgress) { number, outcome in
                onFinish(number, Result { try outcome.complete() })
            }
        }
    }

    private func jointly<Outcome: Sendable>(
        to target: MemberTemplate, _ onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)?,
        _ send: @escaping JointTransfer<Outcome>.Send
    ) async throws -> GroupResults<Outcome> {
        try await each(JointTransfer(send), to: { target.path(for: $0) }, onProgress: onProgress)
    }

    /// Has members' transfers go together where their ways do; otherwise as ``each(onResult:_:)``.
    package func each<Outcome: Sendable>(
        _ transfer: JointTransfer<Outcome>, to path: @escaping @Sendable (GroupMember) -> [UInt8],
        onResult: (@Sendable (MemberResult<Outcome>) -> Void)? = nil,
        onProgress: (@Sendable (GroupMember, TransferProgress) -> Void)?
    ) async throws -> GroupResults<Outcome> {
        let places = Dictionary(uniqueKeysWithValues: enumerated().map { ($1, $0) })
        let step: FleetRun<Context, Outcome>.Step = { context, member in
            let place = places[member]!
            return try await transfer.deliver(
                place, on: entries[place].host.way(to: context), SyncTarget(context, path(member)),
                progress(of: member, onProgress))
        }
        let attendance = FleetAttendance {
            transfer.expect($0, on: entries[$0].host.way, isNear: entries[$0].host.native.current != nil)
        } ended: {
            transfer.left($0)
        }
        return try await transfer.serving {
            try await FleetRun(self, by: \.native, steps: [step], onResult: onResult, attendance: attendance).run()
        }
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
