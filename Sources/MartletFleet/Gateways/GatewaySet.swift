import Martlet
import MartletReactor
import Synchronization

/// Gateways that members are reached through: any of them will do for each.
///
/// A gateway is a ``GroupHost`` itself, so it may be behind gateways of its own. It is connected once for all who need it, when
/// the first does, and lives until a group is closed whose members were the last behind it. All that is kept of a member is in
/// the ``GatewayPlan``, and a line for each open connection.
final class GatewaySet: Sendable {
    /// A gateway that a member is connected through, or about to be.
    struct Passage: Sendable {
        let gateway: GroupHost
        let context: Context
        fileprivate let choice: GatewayPlan.Choice
    }

    private struct State {
        var plan: GatewayPlan
        /// By the far context.
        var passages: [ObjectIdentifier: Passage] = [:]
    }

    let gateways: [GroupHost]
    private let names: [String]
    private let state: Mutex<State>

    /// - Parameters:
    ///   - gateways: with their names, no two the same; one at least.
    ///   - members: their names.
    init(_ gateways: [(name: String, host: GroupHost)], members: [String]) {
        (names, self.gateways) = (gateways.map(\.name), gateways.map(\.host))
        state = Mutex(State(plan: GatewayPlan(gateways: names, members: members)))
    }

    /// The gateway that a member is behind, or will be.
    func gateway(of member: Int) -> GroupHost { gateways[state.withLock { $0.plan.place(of: member) }] }

    /// Connects a member: through another gateway if one cannot be reached, or is lost meanwhile. Nothing of it has begun then.
    ///
    /// - Parameter connect: connects it through a gateway.
    /// - Throws: ``MartletError`` `unreachable` if no gateway is left, with what was wrong with each; what `connect` throws.
    func connect(
        _ member: Int, named name: String, _ connect: (Context) async throws -> Context
    ) async throws -> Context {
        let start = state.withLock { $0.plan.failureCount }
        var last: (any Error)?
        // Gateways that come and go leave room for a second try, not for ever.
        for _ in 0...gateways.count * 2 {
            guard let choice = choose(member, since: start) else { throw unreachable(name) }
            let gateway = gateways[choice.gateway]
            // Before it is connected: nobody closes it as one that is not used.
            gateway.uses.withLock { $0 += 1 }
            var isKept = false
            defer { if !isKept { gateway.uses.withLock { $0 -= 1 } } }
            guard let passage = try await passage(choice) else { continue }
            do {
                let context = try await connect(passage.context)
                state.withLock { $0.passages[ObjectIdentifier(context)] = passage }
                isKept = true
                return context
            } catch {
                guard await isLost(passage, error) else { throw error }
                last = error
            }
        }
        throw last ?? unreachable(name)
    }

    /// A connection was closed, or given up.
    func ended(_ context: Context) {
        let passage = state.withLock { $0.passages.removeValue(forKey: ObjectIdentifier(context)) }
        passage?.gateway.uses.withLock { $0 -= 1 }
    }

    /// Whether the gateway that a context was connected through has not been lost since.
    func isOpen(_ context: Context) -> Bool {
        state.withLock { state in
            state.passages[ObjectIdentifier(context)].map { state.plan.isCurrent($0.choice) } ?? true
        }
    }

    /// Ends the gateways that nobody is behind any more, and those before them.
    func closeUnused(within limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            for gateway in gateways where gateway.uses.withLock({ $0 }) == 0 {
                group.addTask {
                    await gateway.close(within: limit)
                    await gateway.gateways?.set.closeUnused(within: limit)
                }
            }
        }
    }

    // MARK: Choosing

    private func choose(_ member: Int, since start: Int) -> GatewayPlan.Choice? {
        state.withLock { $0.plan.choose(member, since: start, now: Reactor.now) }
    }

    /// - Returns: `nil` if the gateway cannot be reached, or is gone.
    private func passage(_ choice: GatewayPlan.Choice) async throws -> Passage? {
        let gateway = gateways[choice.gateway]
        do {
            // One that was up and is gone is not connected anew before others were tried.
            if state.withLock({ $0.plan.isUp(choice) }), await gateway.native.isGone() {
                let error = MartletError(.contextLost, "the gateway was lost")
                state.withLock { _ = $0.plan.lost(choice, error, now: Reactor.now) }
                return nil
            }
            let context = try await gateway.native.value()
            state.withLock { $0.plan.connected(choice, now: Reactor.now) }
            return Passage(gateway: gateway, context: context, choice: choice)
        } catch {
            guard !Task.isCancelled, !(error is CancellationError) else {
                state.withLock { $0.plan.abandoned(choice) }
                throw error
            }
            state.withLock { $0.plan.failed(choice, error, now: Reactor.now) }
            return nil
        }
    }

    /// The gateway was lost with what was to be connected through it.
    ///
    /// - Returns: whether it was.
    private func isLost(_ passage: Passage, _ error: any Error) async -> Bool {
        guard (error as? MartletError)?.code == .contextLost, !Task.isCancelled, await passage.context.isGone() else {
            return false
        }
        if state.withLock({ $0.plan.lost(passage.choice, error, now: Reactor.now) }) {
            passage.gateway.native.lost(passage.context)
        }
        return true
    }

    private func unreachable(_ name: String) -> MartletError {
        let plan = state.withLock { $0.plan }
        let reasons = names.enumerated().map { index, gateway in
            plan.failure(of: index).map { "\(gateway): \($0.error)" } ?? "\(gateway): it was lost meanwhile"
        }
        return MartletError(
            .unreachable,
            names.count == 1
                ? "\(name) is behind \(names[0]), which cannot be reached"
                : "\(name) is behind one of \(names.count) gateways, and none can be reached",
            phase: .reach, detail: reasons.joined(separator: "\n"),
            advice: "connect a gateway alone, to see more; or say in via what else leads there")
    }
}

/// A member's place behind gateways.
struct GatewayPlace: Sendable {
    let set: GatewaySet
    /// Its number among those that the set serves.
    let member: Int
    /// What it is called.
    let name: String
}
