import MartletReactor

/// What is sent to many: files of this machine, looked at once, or bytes. It blocks.
package struct DeliverySource: @unchecked Sendable {
    private enum Content {
        /// It is only read.
        case tree(TreeSource)
        case bytes([UInt8], Manifest)
    }

    private let content: Content
    let options: FileOptions

    /// A file or a folder, as ``Context/put(_:to:options:onProgress:)`` means it.
    package init(_ local: some PathName, _ options: TransferOptions) throws {
        var wire = options.wire
        if TreeSource.isContents(local.pathBytes) { wire.flags.insert(.isExact) }
        try self.init(local.pathBytes, wire)
    }

    /// Bytes that become a file.
    package init(bytes: [UInt8], _ options: TransferOptions) throws {
        var wire = options.wire
        // There is no later try with the same source.
        wire.flags.remove(.resumes)
        var checksum = FileChecksum()
        if wire.comparison == .byContent { bytes.withUnsafeBytes { checksum.add($0) } }
        content = .bytes(
            bytes, try BytePieces.manifest(bytes.count, wire.comparison == .byContent ? checksum.value : nil))
        self.options = wire
    }

    init(
        _ path: [UInt8], _ options: FileOptions, isIncluded: (@Sendable ([UInt8], FileStatus) -> Bool)? = nil
    ) throws {
        do { content = .tree(try TreeSource(path, options, isIncluded: isIncluded)) } catch let error as FileError {
            throw error.error(isHere: true)
        }
        self.options = options
    }

    /// It is one file.
    var isSingle: Bool { if case .tree(let tree) = content { tree.isSingle } else { true } }

    /// - Returns: what could not be read.
    func send(
        over channel: Channel<[UInt8]>, mayBeEager: Bool, _ tell: ((inout TransferProgress) -> Void) -> Void
    ) async throws -> [FileFailure] {
        switch content {
        case .tree(let tree):
            return try await tree.send(over: channel, mayBeEager: mayBeEager) { contents in
                tell { $0.set(contents.progress, contents.totals) }
            }
        case .bytes(let bytes, let manifest):
            var rest = bytes[...]
            let isEager = mayBeEager && options.comparison == .always
            try await BytePieces.send(manifest, over: channel, isEager: isEager) {
                defer { rest = rest.dropFirst(BytePieces.size) }
                return rest.isEmpty ? nil : rest.prefix(BytePieces.size)
            } _: { count in
                tell { ($0.byteCount, $0.totalBytes) = (count, bytes.count) }
            }
            return []
        }
    }

    /// Writes it to places in many contexts: over a link that several are behind it goes once.
    ///
    /// - Parameters:
    ///   - targets: of one controller; one at least.
    ///   - onFinish: told what came of a target, by its number, as soon as it is known.
    /// - Throws: `CancellationError`. What fails in a target stops no other.
    package func put(
        to targets: [SyncTarget], onProgress: (@Sendable (Int, TransferProgress) -> Void)?,
        onFinish: @escaping @Sendable (Int, Result<TransferResult, any Error>) -> Void
    ) async throws {
        let runtime = targets[0].context.runtime
        _ = try await withTaskExecutorPreference(runtime.reactor) {
            try await DeliveryRun(self, targets, runtime, onProgress) { delivery in
                onFinish(delivery.number, Result { try delivery.transferResult(isSingle: isSingle) })
            }.run()
        }
    }
}

/// What came of one target.
struct Delivery: Sendable {
    let number: Int
    let target: SyncTarget
    let result: Result<FileReport, MartletError>
    /// What could not be read here.
    let failures: [FileFailure]
    /// From the start of its transfer.
    let duration: Duration
    /// Others of its leg were not to wait for it: it has to be sent to alone.
    let isBehind: Bool

    func transferResult(isSingle: Bool) throws(MartletError) -> TransferResult {
        try target.context.result(try result.get(), failures, isSingle: isSingle)
    }
}

/// One source, many targets.
struct DeliveryRun: Sendable {
    private let source: DeliverySource
    private let targets: [SyncTarget]
    private let runtime: ContextRuntime
    private let onProgress: (@Sendable (Int, TransferProgress) -> Void)?
    private let onFinish: (@Sendable (Delivery) -> Void)?

    init(
        _ source: DeliverySource, _ targets: [SyncTarget], _ runtime: ContextRuntime,
        _ onProgress: (@Sendable (Int, TransferProgress) -> Void)?, _ onFinish: (@Sendable (Delivery) -> Void)?
    ) {
        (self.source, self.targets, self.runtime) = (source, targets, runtime)
        (self.onProgress, self.onFinish) = (onProgress, onFinish)
    }

    /// - Returns: what came of each, in their order.
    func run() async throws -> [Delivery] {
        try await withThrowingTaskGroup(of: [Delivery].self) { group in
            func begin(_ numbers: [Int]) {
                for leg in legs(to: numbers) { group.addTask { await drive(leg) } }
            }
            begin(Array(targets.indices))
            var deliveries = [Delivery?](repeating: nil, count: targets.count)
            for try await ended in group {
                let behind = ended.filter(\.isBehind).map(\.number)
                for delivery in ended where !delivery.isBehind { deliveries[delivery.number] = delivery }
                // There are fewer of them each time.
                if !Task.isCancelled, !behind.isEmpty { begin(behind) }
            }
            try Task.checkCancellation()
            return deliveries.map { $0! }
        }
    }

    private func legs(to numbers: [Int]) -> [SyncLeg] {
        let places = numbers.map { SyncRelay.Target(address: targets[$0].context.address, path: targets[$0].path) }
        return SyncLeg.legs(places, source.options, from: runtime.node.address).map { leg in
            var leg = leg
            leg.numbers = leg.numbers.map { numbers[$0] }
            return leg
        }
    }

    private func drive(_ leg: SyncLeg) async -> [Delivery] {
        let start = ContinuousClock.now
        let tellers = leg.numbers.map { number in
            ProgressTeller(onProgress.map { report in { @Sendable in report(number, $0) } })
        }
        // A leg to several ends has the route of the way that they have in common only as a part of each.
        let context = leg.isRelay ? Context(below: runtime, leg.address) : targets[leg.numbers[0]].context
        var results: [Result<FileReport, MartletError>]
        var failures: [FileFailure] = []
        do {
            let answer: [UInt8]
            (failures, answer) = try await context.exchange(leg.request) { channel in
                try await source.send(over: channel, mayBeEager: !leg.isRelay) { change in
                    for teller in tellers { teller.tell(change) }
                }
            }
            results = try leg.results(answer)
        } catch {
            var failure =
                (error as? FileError)?.error(isHere: true) ?? error as? MartletError
                ?? MartletError(.fileFailed, "\(error)")
            // What cuts us off is on the way, not here.
            if !(error is FileError), failure.route.steps.isEmpty || failure.route == runtime.route {
                failure.route = context.route
            }
            results = leg.numbers.map { _ in .failure(failure) }
        }
        // A relay that says so of all, or who is none, is not believed: this would go on for ever.
        let behind = results.map { leg.isRelay && $0.isBehind }
        let isEndless = !behind.contains(false)
        return zip(leg.numbers, results).enumerated().map { index, ended in
            let (number, result) = ended
            let delivery = Delivery(
                number: number, target: targets[number],
                result: result.mapError { $0.on(targets[number].context.route) }, failures: failures,
                duration: ContinuousClock.now - start, isBehind: behind[index] && !isEndless)
            if !delivery.isBehind {
                tellers[index].finish()
                onFinish?(delivery)
            }
            return delivery
        }
    }
}

extension Result<FileReport, MartletError> {
    fileprivate var isBehind: Bool {
        if case .failure(let error) = self { error.code == SyncRelay.behind.code } else { false }
    }
}

extension MartletError {
    /// With a route, if it has none.
    fileprivate func on(_ route: Route) -> MartletError {
        var error = self
        if error.route.steps.isEmpty { error.route = route }
        return error
    }
}
