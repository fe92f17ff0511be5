import Martlet

/// Connects to many hosts at once and does the same work on each. Every result is kept with its place in the list.
struct Fleet: Sendable {
    var hosts: [Host]
    var wayIn: WayIn
    /// How many are worked on at once.
    var limit: Int

    private enum Event<Value: Sendable>: Sendable {
        case ended(HostOutcome<Value>)
        case interrupted
    }

    /// Does `work` in a context on each host.
    ///
    /// - Parameters:
    ///   - onStart: told when a host's turn has come.
    ///   - onEnd: told what came of a host, as soon as it is known, but one at a time.
    /// - Returns: one outcome for each host, in their order.
    func run<Value: Sendable>(
        _ controller: Controller,
        _ interruption: Interruption,
        onStart: @escaping @Sendable (Host) -> Void = { _ in },
        onEnd: (HostOutcome<Value>) async -> Void,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async -> [HostOutcome<Value>] {
        var outcomes = hosts.map { HostOutcome<Value>(host: $0, result: .notStarted, duration: .zero) }
        await withTaskGroup(of: Event<Value>.self) { group in
            var waiting = hosts[...]
            func startNext() {
                guard interruption.cause == nil, let host = waiting.popFirst() else { return }
                onStart(host)
                group.addTask { .ended(await self.work(on: host, controller, interruption, work)) }
            }
            group.addTask {
                await interruption.wait()
                return .interrupted
            }
            var underWay = min(limit, hosts.count)
            for _ in 0..<underWay { startNext() }
            while underWay > 0, let event = await group.next() {
                switch event {
                case .interrupted:
                    group.cancelAll()
                case .ended(let outcome):
                    outcomes[outcome.host.index] = outcome
                    await onEnd(outcome)
                    if waiting.isEmpty || interruption.cause != nil { underWay -= 1 } else { startNext() }
                }
            }
            group.cancelAll()
        }
        return outcomes
    }

    private func work<Value: Sendable>(
        on host: Host,
        _ controller: Controller,
        _ interruption: Interruption,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async -> HostOutcome<Value> {
        let start = ContinuousClock.now
        var timings: ConnectTimings?
        let result: HostOutcome<Value>.Result
        do {
            let context = try await wayIn.connect(controller, to: host.name)
            timings = context.timings
            do {
                let value = try await work(context, host)
                result = .value(value)
            } catch {
                result = Self.failure(error, interruption)
            }
            // Everything is told already: how long it takes to leave is nobody's business, so the far end gets on alone.
            await context.close(within: .seconds(2))
        } catch {
            result = Self.failure(error, interruption)
        }
        return HostOutcome(host: host, result: result, timings: timings, duration: ContinuousClock.now - start)
    }

    private static func failure<Value>(_ error: any Error, _ interruption: Interruption) -> HostOutcome<Value>.Result {
        if error is CancellationError || (interruption.cause != nil && Task.isCancelled) { return .interrupted }
        return .failed(error as? MartletError ?? MartletError(.misuse, "\(error)"))
    }
}
