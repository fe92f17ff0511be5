import Martlet
import Synchronization

/// The contexts that the hub keeps.
final class HubPool: Sendable {
    private struct Entry {
        var connect: SharedConnect
        var lastUse = ContinuousClock.now
        var uses = 0
        var running = 0
    }

    private struct State {
        var entries: [HubTarget: Entry] = [:]
        var guests = 0
        var lastUse = ContinuousClock.now
        var isEnding = false
    }

    let controller: Controller
    private let state = Mutex(State())
    private let started = ContinuousClock.now
    /// How many there are at most: then the one goes that was not used for longest.
    private let limit: Int
    private let onEnd: @Sendable () -> Void

    /// How long a context that was not used for a while may take to answer, before it counts as lost.
    private static let patience = Duration.seconds(5)
    /// For so long one that was used is not asked whether it answers.
    private static let trust = Duration.seconds(1)

    init(_ controller: Controller, limit: Int, onEnd: @escaping @Sendable () -> Void) {
        (self.controller, self.limit, self.onEnd) = (controller, limit, onEnd)
    }

    func guests(_ count: Int) { state.withLock { ($0.guests, $0.lastUse) = (count, .now) } }

    /// Since when nobody is in and nothing runs; `nil` while there is something.
    var idleSince: ContinuousClock.Instant? {
        state.withLock { state in
            state.guests > 0 || state.entries.values.contains { $0.running > 0 } ? nil : state.lastUse
        }
    }

    /// Ends the hub.
    ///
    /// - Returns: how many contexts it had.
    func end() -> Int {
        defer { onEnd() }
        return state.withLock { state in
            state.isEnding = true
            return state.entries.values.count { $0.connect.context?.hasLink ?? true }
        }
    }

    // MARK: Contexts

    /// A context that answers, connected if there is none.
    ///
    /// - Returns: also whether it was there.
    func context(_ target: HubTarget) async throws -> (Context, wasThere: Bool) {
        let (known, isFresh) = state.withLock { state in
            let entry = state.entries[target]
            return (entry?.connect.context, entry.map { .now - $0.lastUse < Self.trust } ?? false)
        }
        if let known {
            if try await isFresh ? known.hasLink : known.answers(within: Self.patience) {
                used(target)
                return (known, true)
            }
            await drop(target, known)
        }
        while true {
            let connect = try await entry(target)
            do {
                let context = try await connect.value()
                used(target)
                return (context, false)
            } catch {
                // Others may wait for it still.
                if connect.hasFailed { forget(target, connect) }
                // Those who waited for it may have left just as we came.
                guard error is CancellationError, !Task.isCancelled else { throw error }
            }
        }
    }

    private func entry(_ target: HubTarget) async throws -> SharedConnect {
        let (way, host) = try target.wayIn()
        let gateway = target.gateway
        let (connect, old) = try state.withLock { state -> (SharedConnect, SharedConnect?) in
            guard !state.isEnding else { throw MartletError(.refused, "the hub is ending") }
            if let entry = state.entries[target], !entry.connect.hasFailed { return (entry.connect, nil) }
            var old: SharedConnect?
            if state.entries.count >= limit {
                // What others are connected through would take them along.
                let gateways = Set(state.entries.keys.compactMap(\.gateway))
                let idle = state.entries.filter {
                    $0.value.running == 0 && $0.value.connect.context != nil && !gateways.contains($0.key)
                }
                guard let oldest = idle.min(by: { $0.value.lastUse < $1.value.lastUse }) else {
                    throw MartletError(
                        .limitExceeded, "all \(limit) contexts of the hub are at work",
                        advice: "run this one without the hub: --no-hub")
                }
                old = oldest.value.connect
                state.entries[oldest.key] = nil
            }
            let connect = SharedConnect { [self] in
                guard let gateway else { return try await way.connect(controller, to: host) }
                let (between, _) = try await context(gateway)
                return try await way.through(between).connect(controller, to: host)
            }
            state.entries[target] = Entry(connect: connect)
            return (connect, old)
        }
        await old?.close()
        return connect
    }

    private func used(_ target: HubTarget) {
        state.withLock { state in
            state.lastUse = .now
            state.entries[target]?.lastUse = .now
        }
    }

    private func forget(_ target: HubTarget, _ connect: SharedConnect) {
        state.withLock { state in
            if state.entries[target]?.connect === connect { state.entries[target] = nil }
        }
    }

    /// It is lost, or may be.
    private func drop(_ target: HubTarget, _ context: Context) async {
        let connect = state.withLock { state -> SharedConnect? in
            guard let connect = state.entries[target]?.connect, connect.context?.address == context.address else {
                return nil
            }
            state.entries[target] = nil
            return connect
        }
        await connect?.close()
    }

    /// Lends a context, connected if there is none.
    func lend(_ target: HubTarget) async throws -> Lender {
        let (context, _) = try await context(target)
        let connect = state.withLock { state in
            state.entries[target]?.running += 1
            state.entries[target]?.uses += 1
            return state.entries[target]?.connect
        }
        return Lender(context) { [self] in
            state.withLock { state in
                state.lastUse = .now
                // It may have been connected anew meanwhile.
                guard let connect, state.entries[target]?.connect === connect else { return }
                state.entries[target]?.running -= 1
                state.entries[target]?.lastUse = .now
            }
        }
    }

    func status() async -> HubStatus {
        let lost = await lost()
        let now = ContinuousClock.now
        return state.withLock { state in
            HubStatus(
                processID: SystemCalls.processID, uptime: now - started, guests: state.guests,
                contexts: state.entries.map { target, entry in
                    let context = entry.connect.context
                    return HubStatus.Entry(
                        target: target, isLost: lost.contains(target), route: context?.route.steps,
                        user: context?.facts.user,
                        host: context?.facts.hostname, idle: now - entry.lastUse, uses: entry.uses,
                        running: entry.running, bytesSent: context?.traffic?.sent,
                        bytesReceived: context?.traffic?.received)
                }.sorted { $0.target.label < $1.target.label })
        }
    }

    /// What will be connected anew when it is next wanted. Who is silent may be there still.
    private func lost() async -> Set<HubTarget> {
        let contexts = state.withLock { $0.entries.compactMapValues(\.connect.context) }
        return await withTaskGroup(of: HubTarget?.self) { group in
            for (target, context) in contexts {
                group.addTask { await context.isGone(within: .seconds(1)) ? target : nil }
            }
            return await group.reduce(into: []) { lost, target in if let target { lost.insert(target) } }
        }
    }
}
