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
        let run = SyncRun([SyncTarget(self, path)], options, runtime, report, nil)
        let outcome = try await run.run { try SyncSource(local, options) }[0]
        if let error = outcome.error { throw error }
        return outcome
    }
}

/// A folder of this machine, looked at once for any number of targets. It blocks.
package struct SyncSource: @unchecked Sendable {
    /// Once it is made, it is only read.
    fileprivate let tree: TreeSource

    package init(_ local: some PathName, _ options: SyncOptions) throws {
        do { tree = try TreeSource(local.pathBytes, options.wire, isIncluded: options.isIncluded) } catch let error
            as FileError
        {
            throw error.error(isHere: true)
        }
        guard !tree.isSingle else {
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
        try await SyncRun(targets, options, targets[0].context.runtime, onProgress, onFinish).run { self }
    }
}

extension Controller {
    /// Makes folders in many contexts as one of this machine is: it is looked at once, all get what they lack at the same time,
    /// and over a link that several targets are behind everything goes once: to the context where their ways part, which
    /// hands it on at the pace of the slowest of them. Otherwise as ``Context/sync(_:to:options:onProgress:)``.
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
        return try await SyncRun(targets, options, runtime, onProgress, onFinish).run { try SyncSource(local, options) }
    }
}

/// One source, many targets.
private struct SyncRun: Sendable {
    let targets: [SyncTarget]
    let options: SyncOptions
    let runtime: ContextRuntime
    let onProgress: (@Sendable (Int, TransferProgress) -> Void)?
    let onFinish: (@Sendable (Int, SyncOutcome) -> Void)?

    init(
        _ targets: [SyncTarget], _ options: SyncOptions, _ runtime: ContextRuntime,
        _ onProgress: (@Sendable (Int, TransferProgress) -> Void)?, _ onFinish: (@Sendable (Int, SyncOutcome) -> Void)?
    ) {
        (self.targets, self.options, self.runtime) = (targets, options, runtime)
        (self.onProgress, self.onFinish) = (onProgress, onFinish)
    }

    func run(_ makeSource: @Sendable () throws -> SyncSource) async throws -> [SyncOutcome] {
        try await withTaskExecutorPreference(runtime.reactor) {
            let source = try makeSource()
            let all = targets.map { SyncRelay.Target(address: $0.context.address, path: $0.path) }
            let legs = SyncLeg.legs(all, options.wire, from: runtime.node.address)
            return try await withThrowingTaskGroup(of: [(Int, SyncOutcome)].self) { group in
                for leg in legs { group.addTask { await drive(leg, source) } }
                var outcomes = targets.map { SyncOutcome(target: $0) }
                for try await ended in group {
                    for (number, outcome) in ended { outcomes[number] = outcome }
                }
                try Task.checkCancellation()
                return outcomes
            }
        }
    }

    private func drive(_ leg: SyncLeg, _ shared: SyncSource) async -> [(Int, SyncOutcome)] {
        let (start, source) = (ContinuousClock.now, shared.tree)
        let tellers = leg.numbers.map { number in
            ProgressTeller(onProgress.map { report in { @Sendable in report(number, $0) } })
        }
        defer { for teller in tellers { teller.finish() } }
        // A leg to several ends has the route of the way that they have in common only as a part of each.
        let context = leg.isRelay ? Context(below: runtime, leg.address) : targets[leg.numbers[0]].context
        var results: [Result<FileReport, MartletError>]
        var failures: [FileFailure] = []
        do {
            let (contents, answer) = try await context.exchange(leg.request) { channel in
                let wanted = try await TreeExchange.offer(source.manifest, channel)
                let contents = source.contents(wanted)
                while let piece = try contents.next(TreeItem.contents) {
                    try await channel.send(piece)
                    for teller in tellers {
                        teller.tell { $0.set(contents.progress, contents.totals) }
                    }
                }
                return contents
            }
            failures = contents.failures
            results = try leg.results(answer)
        } catch {
            let failure = error as? MartletError ?? MartletError(.fileFailed, "\(error)")
            results = leg.numbers.map { _ in .failure(failure) }
        }
        return zip(leg.numbers, results).map { number, result in
            var outcome = SyncOutcome(target: targets[number])
            outcome.duration = ContinuousClock.now - start
            outcome.failures = source.failures + failures
            do throws(MartletError) {
                let report = try result.get()
                outcome.changes = try report.list()
                outcome.omittedChanges = report.omittedCount
                (outcome.fileCount, outcome.byteCount) = (report.fileCount, report.byteCount)
                let known = Set(outcome.failures)
                outcome.failures += report.failures.filter { !known.contains($0) }
            } catch {
                outcome.error = error
                if outcome.error!.route.steps.isEmpty { outcome.error!.route = targets[number].context.route }
            }
            onFinish?(number, outcome)
            return (number, outcome)
        }
    }
}
