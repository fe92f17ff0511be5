import Martlet
import MartletFleet

/// The hosts of a command, as a group: each is connected in its turn, worked on, and closed.
struct Fleet: Sendable {
    var hosts: [Host]
    /// Hops that are before each host are connected once for all.
    var wayIn: WayIn
    var strategy: FleetStrategy
    /// Told what happens to whom. It must not wait.
    var onEvent: (@Sendable (FleetEvent) -> Void)?
    /// Told what came of the check behind a batch.
    var onCheck: (@Sendable (BatchCheck) -> Void)?

    /// Does `work` in a context on each host; otherwise as ``run(_:_:onResult:check:_:)``.
    func each<Value: Sendable>(
        _ controller: Controller, _ session: Session,
        onResult: @escaping @Sendable (HostResult<Value>) -> Void,
        check: (@Sendable (Context) async throws -> Void)? = nil,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async throws -> FleetResults<Value> {
        try await run(controller, session, onResult: onResult, check: check) { group, host, onResult in
            try await group.each(onResult: onResult) { context, member in try await work(context, host(member)) }
        }
    }

    /// Does `work` with all hosts.
    ///
    /// - Parameters:
    ///   - onResult: told what came of a host, as soon as it is known, one at a time. It must not wait: an interruption
    ///     would not be seen meanwhile.
    ///   - check: done on the hosts of a batch that succeeded, before the next one begins. If it throws, none does.
    /// - Returns: one result for each host, in their order, also if it was interrupted.
    func run<Value: Sendable>(
        _ controller: Controller, _ session: Session,
        onResult: @escaping @Sendable (HostResult<Value>) -> Void,
        check: (@Sendable (Context) async throws -> Void)? = nil,
        _ work:
            @escaping @Sendable (
                Group, _ host: @escaping @Sendable (GroupMember) -> Host,
                _ onResult: @escaping @Sendable (MemberResult<Value>) -> Void
            ) async throws -> GroupResults<Value>
    ) async throws -> FleetResults<Value> {
        let interruption = session.interruption
        let common = CommonWay(
            wayIn, controller, session.output, among: hosts.map(\.name), isRetried: strategy.retry.connects > 0)
        var group = try controller.group(
            hosts.map { host in
                wayIn.member(host.label, host.name, controller) { try await common.value() }
            })
        let hosts = Dictionary(uniqueKeysWithValues: zip(group, hosts))
        group.strategy = strategy
        // For the check they stay, unless there may be more of them than may be worked on at once.
        group.strategy.closesMembers = check == nil || hosts.count > strategy.limit ?? .max
        if let check {
            group.strategy.verify = { batch in try await self.check(batch, { hosts[$0]! }, check) }
        }
        group.onEvent = onEvent
        let settled = group
        let results = try await interruption.cancelling {
            try await work(settled, { hosts[$0]! }) { onResult(HostResult(hosts[$0.member]!, $0, interruption.cause)) }
        }
        await group.close(within: .seconds(2))
        await common.close(within: .seconds(2))
        return FleetResults(
            hosts: results.map { HostResult(hosts[$0.member]!, $0, interruption.cause) }, stop: results.stop)
    }

    /// - Throws: ``BatchCheck`` if it is not good.
    private func check(
        _ batch: FleetBatch, _ host: (GroupMember) -> Host, _ check: @escaping @Sendable (Context) async throws -> Void
    ) async throws {
        // Too many have failed already: no batch follows that would depend on this. And of nobody there is nothing to say.
        guard batch.stop == nil, !batch.succeeded.isEmpty else { return }
        var own = FleetStrategy(
            limit: strategy.limit, retry: RetryPolicy(connects: strategy.retry.connects),
            memberDeadline: strategy.memberDeadline)
        own.closesMembers = true
        let results = try await batch.succeeded.with(own).each { context, _ in try await check(context) }
        try Task.checkCancellation()
        let checked = BatchCheck(
            number: batch.number, count: batch.count, hosts: results.map { HostResult(host($0.member), $0, nil) })
        onCheck?(checked)
        if !checked.isGood { throw checked }
    }
}
