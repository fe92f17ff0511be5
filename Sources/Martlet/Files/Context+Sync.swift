import MartletReactor

extension Context {
    /// Makes a folder of the context's machine as one of this machine is: what is not as there is copied, see ``SyncOptions``.
    ///
    ///     let outcome = try await web.sync("site", to: "/srv/www")
    ///     for change in outcome.changes { print(change.kind, change.path) }
    ///
    /// Folders and files get the modes and times of the source. Whether `local` ends in a slash does not matter.
    ///
    /// - Returns: what was done. Files that could not be read or written are in `failures`; the rest was done.
    /// - Throws: ``MartletError`` `fileFailed` if the source cannot be read or all of it failed, `contextLost`, `limitExceeded`
    ///   for some millions of files; `CancellationError`.
    public func sync(
        _ local: some PathName, to path: some PathName, options: SyncOptions = SyncOptions(),
        onProgress: (@Sendable (TransferProgress) -> Void)? = nil
    ) async throws -> SyncOutcome {
        let report = onProgress.map { report in { @Sendable (_: Int, progress: TransferProgress) in report(progress) } }
        let targets = [SyncTarget(self, path)]
        let outcome = try await runtime.sync(targets, options, report, nil) { try SyncSource(local, options) }[0]
        if let error = outcome.error { throw error }
        return outcome
    }
}

/// A folder of this machine, looked at once for any number of targets. It blocks.
package struct SyncSource: Sendable {
    fileprivate let source: DeliverySource

    package init(_ local: some PathName, _ options: SyncOptions) throws {
        source = try DeliverySource(local.pathBytes, options.wire, isIncluded: options.isIncluded)
        guard !source.isSingle else {
            throw MartletError(
                .fileFailed, "\(local.pathBytes.shown) here is no folder", advice: "copy a single file with put")
        }
    }

    /// As ``Controller/sync(_:to:options:onProgress:onFinish:)`` of the controller whose contexts the targets are, one at least.
    ///
    /// - Parameter options: those with which it was made.
    package func sync(
        to targets: [SyncTarget], options: SyncOptions,
        onProgress: (@Sendable (_ target: Int, _ progress: TransferProgress) -> Void)?,
        onFinish: (@Sendable (_ target: Int, _ outcome: SyncOutcome) -> Void)?
    ) async throws -> [SyncOutcome] {
        try await targets[0].context.runtime.sync(targets, options, onProgress, onFinish) { self }
    }
}

extension Controller {
    /// Makes folders in many contexts as one of this machine is: it is looked at once, all get what they lack at the same time,
    /// and over a link that several targets are behind everything goes once: to the context where their ways part, which
    /// hands it on at the pace of the slowest of them; who falls far behind gets it alone, later. Otherwise as ``Context/sync(_:to:options:onProgress:)``.
    ///
    ///     let outcomes = try await martlet.sync("site", to: webs.map { SyncTarget($0, "/srv/www") })
    ///
    /// - Parameters:
    ///   - onProgress: told of a target by its number.
    ///   - onFinish: told what came of a target as soon as it is known.
    /// - Returns: an outcome for each target, in their order. One that fails stops no other.
    /// - Throws: ``MartletError`` `fileFailed` if the source cannot be read, `misuse` without any target; `CancellationError`.
    public func sync(
        _ local: some PathName, to targets: [SyncTarget], options: SyncOptions = SyncOptions(),
        onProgress: (@Sendable (_ target: Int, _ progress: TransferProgress) -> Void)? = nil,
        onFinish: (@Sendable (_ target: Int, _ outcome: SyncOutcome) -> Void)? = nil
    ) async throws -> [SyncOutcome] {
        guard !targets.isEmpty else { throw MartletError(.misuse, "there is no target to sync to") }
        return try await runtime.sync(targets, options, onProgress, onFinish) { try SyncSource(local, options) }
    }
}

extension ContextRuntime {
    /// - Parameter makeSource: is called where it may block.
    fileprivate func sync(
        _ targets: [SyncTarget], _ options: SyncOptions,
        _ onProgress: (@Sendable (Int, TransferProgress) -> Void)?,
        _ onFinish: (@Sendable (Int, SyncOutcome) -> Void)?, _ makeSource: @Sendable () throws -> SyncSource
    ) async throws -> [SyncOutcome] {
        try await withTaskExecutorPreference(reactor) {
            let tell = onFinish.map { tell in
                { @Sendable (delivery: Delivery) in tell(delivery.number, SyncOutcome(delivery)) }
            }
            let run = DeliveryRun(try makeSource().source, targets, self, onProgress, tell)
            return try await run.run().map { SyncOutcome($0) }
        }
    }
}

extension SyncOutcome {
    fileprivate init(_ delivery: Delivery) {
        self.init(target: delivery.target, failures: delivery.failures, duration: delivery.duration)
        do throws(MartletError) {
            let report = try delivery.result.get()
            changes = try report.list()
            (omittedChanges, fileCount, byteCount) = (report.omittedCount, report.fileCount, report.byteCount)
            let known = Set(failures)
            failures += report.failures.filter { !known.contains($0) }
        } catch { self.error = error }
    }
}
