import Martlet

/// Connects to many hosts at once and does the same work on each. Every result is kept with its place in the list.
struct Fleet: Sendable {
    var hosts: [Host]
    /// Hops that are before each host are connected once for all.
    var wayIn: WayIn
    /// How many are worked on at once.
    var limit: Int

    private enum Event<Value: Sendable>: Sendable {
        /// The way that all have in common is open, or is not.
        case ready(Result<(WayIn, Context?), any Error>)
        case ended(HostOutcome<Value>, Context?)
        case closed
        case interrupted
    }

    /// Does `work` in a context on each host.
    ///
    /// - Parameters:
    ///   - onStart: told when a host's turn has come.
    ///   - onEnd: told what came of a host, as soon as it is known, one at a time. It must not wait: an interruption
    ///     would not be seen meanwhile.
    /// - Returns: one outcome for each host, in their order.
    func run<Value: Sendable>(
        _ controller: Controller,
        _ interruption: Interruption,
        onStart: (Host) -> Void = { _ in },
        onEnd: (HostOutcome<Value>) -> Void,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async -> [HostOutcome<Value>] {
        var outcomes = hosts.map { HostOutcome<Value>(host: $0, result: .notStarted, duration: .zero) }
        var gateway: Context?
        await withTaskGroup(of: Event<Value>.self) { group in
            var waiting = hosts[...]
            var underWay = 0
            var wayIn = wayIn
            func startNext() {
                guard interruption.cause == nil, let host = waiting.popFirst() else { return }
                onStart(host)
                underWay += 1
                group.addTask { [wayIn] in await self.work(on: host, wayIn, controller, interruption, work) }
            }
            group.addTask {
                await interruption.wait()
                return .interrupted
            }
            let start = ContinuousClock.now
            group.addTask { [wayIn] in
                do { return .ready(.success(try await wayIn.sharing(controller, among: hosts.count))) } catch {
                    return .ready(.failure(error))
                }
            }
            var isReady = false
            while !isReady || underWay > 0, let event = await group.next() {
                switch event {
                case .ready(.success(let shared)):
                    isReady = true
                    (wayIn, gateway) = shared
                    for _ in 0..<min(limit, hosts.count) { startNext() }
                case .ready(.failure(let error)):
                    isReady = true
                    for host in hosts {
                        onStart(host)
                        let outcome = HostOutcome<Value>(
                            host: host, result: Self.failure(error, interruption), duration: ContinuousClock.now - start
                        )
                        outcomes[host.index] = outcome
                        onEnd(outcome)
                    }
                case .interrupted:
                    group.cancelAll()
                case .closed:
                    break
                case .ended(let outcome, let context):
                    underWay -= 1
                    outcomes[outcome.host.index] = outcome
                    onEnd(outcome)
                    // The next host does not wait until this one has left.
                    if let context {
                        group.addTask {
                            await context.close(within: .seconds(2))
                            return .closed
                        }
                    }
                    startNext()
                }
            }
            group.cancelAll()
        }
        await gateway?.close(within: .seconds(2))
        return outcomes
    }

    private func work<Value: Sendable>(
        on host: Host,
        _ wayIn: WayIn,
        _ controller: Controller,
        _ interruption: Interruption,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async -> Event<Value> {
        let start = ContinuousClock.now
        var context: Context?
        let result: HostOutcome<Value>.Result
        do {
            let connected = try await wayIn.connect(controller, to: host.name)
            context = connected
            result = .value(try await work(connected, host))
        } catch {
            result = Self.failure(error, interruption)
        }
        let duration = ContinuousClock.now - start
        return .ended(HostOutcome(host: host, result: result, timings: context?.timings, duration: duration), context)
    }

    private static func failure<Value>(_ error: any Error, _ interruption: Interruption) -> HostOutcome<Value>.Result {
        if error is CancellationError || (interruption.cause != nil && Task.isCancelled) { return .interrupted }
        return .failed(error as? MartletError ?? MartletError(.misuse, "\(error)"))
    }
}
