/// The beginning of the way to a member, as far as it is known.
enum JointWay: Hashable, Sendable {
    /// Nobody else's begins so.
    case alone
    /// Whoever is connected by code of the caller's.
    case unknown
    /// Through this one, or what is before that.
    case gateway(ObjectIdentifier)
    /// Over this link of a process's context.
    case link(ObjectIdentifier, UInt32)
}

/// Says which members' transfers begin together, so that what they have in common of their ways carries it once. It knows no
/// clock.
///
/// Who is begun is *expected* on the way that it will take, until it has *come*, on that way or another, or has left. Those who
/// have come begin when nobody else is expected; or, once half of them are there, when twice as much time again has passed, and at
/// least five seconds: so nobody waits for one that does not answer. For one that is *near*, as it is connected, they wait half a
/// minute longer. Who comes later begins with others who are late.
struct JointPlan: Sendable {
    static let patience: UInt64 = 5_000_000_000
    static let patienceWithNear: UInt64 = 30_000_000_000

    private struct Line {
        var expected: Set<Int> = []
        /// Those of them that are connected.
        var near: Set<Int> = []
        var waiting: [Int] = []
        /// Since when somebody has been expected.
        var begin: UInt64
        /// They begin then, unless near ones are expected.
        var end: UInt64?

        var limit: UInt64? { end.map { near.isEmpty ? $0 : $0 + JointPlan.patienceWithNear } }
    }

    private var lines: [JointWay: Line] = [:]
    private var ways: [Int: JointWay] = [:]
    /// They may come on any way.
    private var unknown: Set<Int> = []

    mutating func expect(_ member: Int, on way: JointWay, isNear: Bool = false, now: UInt64) {
        switch way {
        case .alone: return
        case .unknown: unknown.insert(member)
        case .gateway, .link:
            ways[member] = way
            lines[way, default: Line(begin: now)].expected.insert(member)
            if isNear { lines[way]!.near.insert(member) }
        }
    }

    mutating func came(_ member: Int, on way: JointWay, now: UInt64) {
        left(member, now: now)
        ways[member] = way
        lines[way, default: Line(begin: now)].waiting.append(member)
        notice(now)
    }

    /// It is not expected any more, and does not wait any more.
    mutating func left(_ member: Int, now: UInt64) {
        unknown.remove(member)
        if let way = ways.removeValue(forKey: member), var line = lines[way] {
            line.expected.remove(member)
            line.near.remove(member)
            line.waiting.removeAll { $0 == member }
            lines[way] = line.expected.isEmpty && line.waiting.isEmpty ? nil : line
        }
        notice(now)
    }

    private mutating func notice(_ now: UInt64) {
        for (way, line) in lines where line.end == nil && !line.waiting.isEmpty {
            guard line.waiting.count >= line.expected.count + unknown.count else { continue }
            lines[way]!.end = now + max(Self.patience, 2 * (now - min(now, line.begin)))
        }
    }

    /// Those that begin now; to be asked until there is nothing.
    mutating func next(now: UInt64) -> [Int]? {
        let way = lines.first { _, line in
            guard !line.waiting.isEmpty else { return false }
            return line.expected.isEmpty && unknown.isEmpty || line.limit.map { $0 <= now } ?? false
        }?.key
        guard let way, let line = lines[way] else { return nil }
        for member in line.waiting { ways[member] = nil }
        lines[way] = line.expected.isEmpty ? nil : Line(expected: line.expected, near: line.near, begin: now)
        return line.waiting
    }

    /// When to ask again if nothing happens.
    var nextTime: UInt64? { lines.values.compactMap(\.limit).min() }
}
