import MartletLink
import MartletWire

/// One way that a tree goes from here: to one target, or to a context where the ways of several part.
struct SyncLeg: Sendable {
    var address: ContextAddress
    /// Of the targets, in the list.
    var numbers: [Int]
    var isRelay: Bool
    var request: FileTask.Request

    /// The fewest ways that lead to all targets from a context.
    static func legs(
        _ targets: [SyncRelay.Target], _ options: FileOptions, from here: ContextAddress
    ) -> [SyncLeg] {
        var groups: [UInt32: [Int]] = [:]
        var order: [UInt32] = []
        for (number, target) in targets.enumerated() {
            let child = here.childNumber(towards: target.address) ?? 0
            if groups.updateValue((groups[child] ?? []) + [number], forKey: child) == nil { order.append(child) }
        }
        return order.flatMap { child -> [SyncLeg] in
            let numbers = groups[child]!
            func direct(_ number: Int) -> SyncLeg {
                let target = targets[number]
                return SyncLeg(
                    address: target.address, numbers: [number], isRelay: false,
                    request: FileTask.Request(.receive, target.path, options))
            }
            // 0: here.
            guard child > 0, numbers.count > 1 else { return numbers.map(direct) }
            var fork = targets[numbers[0]].address
            for number in numbers {
                while !fork.contains(targets[number].address), let parent = fork.parent { fork = parent }
            }
            var request = FileTask.Request(.relay, [], options)
            request.targets = numbers.map { targets[$0] }
            return [SyncLeg(address: fork, numbers: numbers, isRelay: true, request: request)]
        }
    }

    /// What an answer says of each target.
    func results(_ answer: [UInt8]) throws(MartletError) -> [Result<FileReport, MartletError>] {
        try answer.unpacked { reader throws(MartletError) in
            guard isRelay else { return [.success(try FileReport(&reader))] }
            var results: [Result<FileReport, MartletError>] = []
            for _ in numbers {
                if try reader.byte() == 0 {
                    results.append(.success(try FileReport(&reader)))
                } else {
                    let error = try? CBORDecoder().decode(MartletError.self, from: try reader.string())
                    results.append(.failure(error ?? PackedReader.damaged))
                }
            }
            return results
        }
    }

    static func pack(_ results: [Result<FileReport, MartletError>]) -> [UInt8] {
        var packed = PackedBytes()
        for result in results {
            switch result {
            case .success(let report):
                packed.bytes.append(0)
                report.pack(into: &packed)
            case .failure(let error):
                packed.bytes.append(1)
                packed.add((try? CBOREncoder().encode(error)) ?? [])
            }
        }
        return packed.bytes
    }
}

/// The part of a context that hands a tree on to others below it, and keeps nothing but the manifest. It goes at the pace of
/// the slowest; one that fails is left out, and so is one that is much slower than the others (``RelayPace``), or that has other
/// parts of what is resumed.
struct SyncRelay {
    /// What is said of a target that the others did not wait for: it has to be sent to alone.
    static let behind = MartletError(MartletError.Code(rawValue: "behind"), "the others did not wait for it")

    struct Target: Sendable {
        var address: ContextAddress
        var path: [UInt8]
    }

    private typealias Answer = [Result<FileReport, MartletError>]

    private let legs: [SyncLeg]
    private let runtime: ContextRuntime
    private let count: Int

    init(_ targets: [Target], _ options: FileOptions, _ runtime: ContextRuntime, _ route: Route) {
        legs = SyncLeg.legs(targets, options, from: runtime.node.address)
        (self.runtime, count) = (runtime, targets.count)
    }

    /// - Returns: what came of each target.
    func run(_ upstream: Channel<[UInt8]>) async throws -> [UInt8] {
        let manifest = Manifest()
        while true {
            guard let item = try await upstream.receive() else { throw TreeExchange.brokenOff }
            if item.first == TreeItem.manifestEnd { break }
            guard item.first == TreeItem.manifest else { throw PackedReader.damaged }
            try manifest.add(piece: item.dropFirst())
        }
        let ends = legs.map { _ -> (Channel<[UInt8]>, Channel<[UInt8]>) in runtime.makeChannel() }
        let answers = legs.map { _ in AsyncStream<Answer>.makeStream(bufferingPolicy: .bufferingNewest(1)) }
        let pace = RelayPace(runtime.reactor) { ends[$0].0.close() }
        var results = [Result<FileReport, MartletError>](repeating: .failure(Self.behind), count: count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer {
                for (near, _) in ends { near.close() }
                group.cancelAll()
            }
            for (number, leg) in legs.enumerated() {
                let (far, answer) = (ends[number].1, answers[number].continuation)
                group.addTask {
                    answer.yield(await self.answer(leg, far))
                    answer.finish()
                }
            }
            let behind = try await feed(manifest, upstream, ends.map(\.0), pace)
            // The others wait no longer for the last word of one whose disk hangs.
            let (ended, _) = try await pace.all(legs.indices.filter { !behind.contains($0) }) { number in
                await answers[number].stream.first { _ in true }
            }
            for (number, answer) in ended {
                for (target, result) in zip(legs[number].numbers, answer) { results[target] = result }
            }
        }
        return SyncLeg.pack(results)
    }

    private func answer(_ leg: SyncLeg, _ far: Channel<[UInt8]>) async -> Answer {
        do {
            if leg.address == runtime.node.address {
                do {
                    let target = try TreeTarget(leg.request.path, leg.request.options, isHere: false)
                    try await TreeExchange.receive(target, far) { _ in }
                    return [.success(target.report)]
                } catch {
                    // Whoever feeds it would wait for ever.
                    far.close()
                    throw error
                }
            }
            let task = FileTask(channel: far, request: leg.request.packed)
            return try leg.results(try await Context(below: runtime, leg.address).call(task))
        } catch {
            let failure = error as? MartletError ?? MartletError(.fileFailed, ErrorText.of(error))
            return leg.numbers.map { _ in .failure(failure) }
        }
    }

    /// - Returns: the legs that were left behind.
    private func feed(
        _ manifest: Manifest, _ upstream: Channel<[UInt8]>, _ ends: [Channel<[UInt8]>], _ pace: RelayPace
    ) async throws -> Set<Int> {
        nonisolated(unsafe) let manifest = manifest
        var (wanted, behind) = try await pace.all(Array(ends.indices)) { number in
            // Why it takes nothing, its answer says.
            try await Self.unlessCancelled { try await TreeExchange.offer(manifest, ends[number]) }
        }
        var union = WantedFiles()
        // Who has most of what is resumed goes on first; who has other parts of it gets it later, so as to keep them.
        let parts = wanted.mapValues { $0.parts.values.reduce(0) { $0 &+ $1.count } }
        for number in wanted.keys.sorted(by: { (parts[$1]!, $0) < (parts[$0]!, $1) }) {
            if union.agrees(with: wanted[number]!) {
                union.formUnion(wanted[number]!)
            } else {
                wanted[number] = nil
                behind.insert(number)
                ends[number].close()
            }
        }
        try await upstream.send(union.packed)
        var current: Int?
        while true {
            guard let item = try await upstream.receive() else { throw TreeExchange.brokenOff }
            guard item.first == TreeItem.contents else { throw PackedReader.damaged }
            let (files, isLast) = try Self.files(in: item, &current)
            let takers = wanted.filter { taker in isLast || files.contains { taker.value[$0] } }.keys
            let (taken, slow) = try await pace.all(Array(takers)) { number in
                try await Self.unlessCancelled { try await ends[number].send(item) }
            }
            behind.formUnion(slow)
            for number in takers where taken[number] == nil { wanted[number] = nil }
            if isLast { return behind }
        }
    }

    private static func unlessCancelled<R>(_ body: () async throws -> R) async throws -> R? {
        do { return try await body() } catch {
            try Task.checkCancellation()
            return nil
        }
    }

    /// Of which files there is something in an item.
    private static func files(in item: [UInt8], _ current: inout Int?) throws(MartletError) -> ([Int], isLast: Bool) {
        var files = current.map { [$0] } ?? []
        var (index, isLast) = (current, false)
        try item.unpacked { reader throws(MartletError) in
            _ = try reader.byte()
            while !reader.isAtEnd {
                switch try reader.byte() {
                case ContentRecord.file:
                    index = try reader.count()
                    _ = try reader.count()
                    files.append(index!)
                case ContentRecord.data:
                    let head = try reader.part(4)
                    _ = try reader.part(Int(UInt32(littleEndian: head.loadUnaligned(as: UInt32.self))))
                case ContentRecord.hole: _ = try reader.count()
                case ContentRecord.end:
                    _ = try reader.fixed()
                    index = nil
                case ContentRecord.failed:
                    files.append(try reader.count())
                    _ = try reader.text()
                    index = nil
                case ContentRecord.done: isLast = true
                default: throw PackedReader.damaged
                }
            }
        }
        current = index
        return (files, isLast)
    }
}
