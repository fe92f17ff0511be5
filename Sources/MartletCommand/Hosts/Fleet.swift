import Martlet

/// What a fleet's work is done with on a host.
protocol FleetMember: Sendable {
    var timings: ConnectTimings { get }
    func close(within limit: Duration) async
}

extension Context: FleetMember {}

/// Connects to many hosts at once and does the same work on each. Every result is kept with its place in the list.
struct Fleet: Sendable {
    var hosts: [Host]
    /// Hops that are before each host are connected once for all.
    var wayIn: WayIn
    /// How many are worked on at once.
    var limit: Int

    private enum Event<Member: FleetMember, Value: Sendable>: Sendable {
        /// The way that all have in common is open, or is not.
        case ready(Result<(WayIn, Context?), any Error>)
        case ended(HostOutcome<Value>, Member?)
        case closed
        case interrupted
    }

    /// Does `work` in a context on each host. See the long form.
    func run<Value: Sendable>(
        _ controller: Controller,
        _ interruption: Interruption,
        onStart: (Host) -> Void = { _ in },
        onEnd: (HostOutcome<Value>) -> Void,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async -> [HostOutcome<Value>] {
        let connect: @Sendable (WayIn, Host) async throws -> Context = { try await $0.connect(controller, to: $1.name) }
        return await run(controller, interruption, onStart: onStart, onEnd: onEnd, connect: connect, work)
    }

    /// Does `work` with what `connect` makes of each host.
    ///
    /// - Parameters:
    ///   - onStart: told when a host's turn has come.
    ///   - onEnd: told what came of a host, as soon as it is known, one at a time. It must not wait: an interruption
    ///     would not be seen meanwhile.
    /// - Returns: one outcome for each host, in their order.
    func run<Member: FleetMember, Value: Sendable>(
        _ controller: Controller,
        _ interruption: Interruption,
        onStart: (Host) -> Void = { _ in },
        onEnd: (HostOutcome<Value>) -> Void,
        connect: @escaping @Sendable (WayIn, Host) async throws -> Member,
        _ work: @escaping @Sendable (Member, Host) async throws -> Value
    ) async -> [HostOutcome<Value>] {
        var outcomes = hosts.map { HostOutcome<Value>(host: $0, result: .notStarted, duration: .zero) }
        var gateway: Context?
        await withTaskGroup(of: Event<Member, Value>.self) { group in
            var waiting = hosts[...]
            var underWay = 0
            var wayIn = wayIn
            func startNext() {
                guard interruption.cause == nil, let host = waiting.popFirst() else { return }
                onStart(host)
                underWay += 1
                group.addTask { [wayIn] in
                    await self.work(on: host, interruption, { try await connect(wayIn, host) }, work)
                }
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
                case .ended(let outcome, let member):
                    underWay -= 1
                    outcomes[outcome.host.index] = outcome
                    onEnd(outcome)
                    // The next host does not wait until this one has left.
                    if let member {
                        group.addTask {
                            await member.close(within: .seconds(2))
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

    private func work<Member: FleetMember, Value: Sendable>(
        on host: Host,
        _ interruption: Interruption,
        _ connect: @Sendable () async throws -> Member,
        _ work: @escaping @Sendable (Member, Host) async throws -> Value
    ) async -> Event<Member, Value> {
        let start = ContinuousClock.now
        var member: Member?
        let result: HostOutcome<Value>.Result
        do {
            let connected = try await connect()
            member = connected
            result = .value(try await work(connected, host))
        } catch {
            result = Self.failure(error, interruption)
        }
        let duration = ContinuousClock.now - start
        return .ended(HostOutcome(host: host, result: result, timings: member?.timings, duration: duration), member)
    }

    private static func failure<Value>(_ error: any Error, _ interruption: Interruption) -> HostOutcome<Value>.Result {
        if error is CancellationError || (interruption.cause != nil && Task.isCancelled) { return .interrupted }
        return .failed(error as? MartletError ?? MartletError(.misuse, "\(error)"))
    }
}
