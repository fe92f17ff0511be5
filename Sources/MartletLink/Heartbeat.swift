/// Notices a neighbour that has fallen silent.
///
/// Whoever has heard nothing for a third of the limit asks with a ping; silence for the whole limit means that the
/// neighbour is lost, even if it is only stopped. All times are nanoseconds of one monotonic clock.
package struct Heartbeat: Sendable {
    package enum Action: Equatable, Sendable {
        case none
        case ping
        case lost
    }

    /// How long a neighbour may be silent, in nanoseconds. Default: 15 s.
    package let limit: UInt64
    private var lastHeard: UInt64
    private var lastTick: UInt64
    private var lastPing: UInt64?
    private var graceIsUsed = false
    /// When this process went on after it had stood still, and for how long it had.
    private var lastPause: (end: UInt64, length: UInt64)?

    package static let defaultLimit: UInt64 = 15_000_000_000

    package init(limit: UInt64 = Self.defaultLimit, now: UInt64) {
        self.limit = min(limit, .max / 4)  // Room to add without overflow: "never" is a limit too.
        lastHeard = now
        lastTick = now
    }

    private var interval: UInt64 { max(1, limit / 3) }

    /// Bytes have come from the neighbour.
    package mutating func heard(now: UInt64) {
        lastHeard = max(lastHeard, now)
        graceIsUsed = false
    }

    /// When ``tick(now:)`` is wanted next.
    package var nextTick: UInt64 { min(max(lastHeard, lastPing ?? 0) + interval, lastHeard + limit) }

    package mutating func tick(now: UInt64) -> Action {
        // If nobody ticked us when it was due, this process itself was stopped: the neighbour may have spoken, and its
        // bytes may be waiting unread. It gets one interval's grace; once, so that a slow process notices silence too.
        if lastHeard + limit <= now, now > lastTick, now - lastTick > interval + interval / 2, !graceIsUsed {
            lastHeard = now - limit + interval
            graceIsUsed = true
        }
        if let pause = pause(now: now) { lastPause = (now, pause) }
        lastTick = now
        if now >= lastHeard + limit { return .lost }
        guard now >= nextTick else { return .none }
        lastPing = now
        return .ping
    }

    /// For how long this process itself stood still until a moment ago, in nanoseconds, if that was longer than a neighbour may
    /// be silent: then the neighbour may have taken it for lost.
    package func pause(now: UInt64) -> UInt64? {
        if now > lastTick, now - lastTick > limit { return now - lastTick }
        guard let lastPause, now - min(now, lastPause.end) < interval else { return nil }
        return lastPause.length
    }

    /// For how long the neighbour has been silent, in nanoseconds.
    package func silence(now: UInt64) -> UInt64 { now > lastHeard ? now - lastHeard : 0 }
}
