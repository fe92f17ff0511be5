import Martlet

/// Says which gateway each member is reached through. It knows neither contexts nor clocks.
///
/// Each member has a *home*: of the gateways that have room, the one that ranks highest for it, by a hash of both names
/// (rendezvous hashing), where none takes more than its even share. So the same members are behind the same gateways the next
/// time too, whatever is connected first, and where one fails only those behind it move.
///
/// A gateway is `ready` → `down` when it was not reached, or lost; `down` → `trial` when its pause is over and a member whose
/// home it is needs it, one at a time; `trial` → `ready` or `down`. Each change is a new *term*: what is told of an older one
/// is old news, so that a hundred members who see the same loss count as one. While none is ready, members try those that are
/// down all the same, each once.
struct GatewayPlan: Sendable {
    /// A gateway as it was when it was chosen.
    struct Choice: Equatable, Sendable {
        var gateway: Int
        var term: Int
    }

    struct Failure: Sendable {
        let error: any Error
        /// How many there were, one soon after the other.
        let number: Int
        /// Counts those of all gateways that were not reached; 0: it was, and then lost.
        let order: Int
        /// From then on it is tried again.
        let end: UInt64
    }

    private enum Condition {
        case ready
        case down
        /// One member tries whether it is back.
        case trial
    }

    private struct Gateway {
        var condition = Condition.ready
        var term = 0
        var failure: Failure?
        /// Since when it has been up.
        var upSince: UInt64?
        /// How many members are to be behind it.
        var load = 0
    }

    /// The pause behind the first failure; each further one is twice as long.
    static let pause: UInt64 = 1_000_000_000
    static let longestPause: UInt64 = 60_000_000_000

    private var gateways: [Gateway]
    private let names: [String]
    private let members: [String]
    private let homes: [Int]
    private var places: [Int]
    private(set) var failureCount = 0

    /// - Parameters:
    ///   - gateways: their names, no two the same; one at least.
    ///   - members: their names.
    init(gateways names: [String], members: [String]) {
        gateways = names.map { _ in Gateway() }
        (self.names, self.members) = (names, members)
        let share = Self.share(of: members.count, names.count)
        var loads = names.map { _ in 0 }
        homes = members.map { member in
            let home = Self.rank(of: member, among: names).first { loads[$0] < share }!
            loads[home] += 1
            return home
        }
        places = homes
        for (gateway, load) in loads.enumerated() { gateways[gateway].load = load }
    }

    private static func share(of members: Int, _ gateways: Int) -> Int { (members + gateways - 1) / max(1, gateways) }

    /// The gateways, the one that suits a member best first.
    private static func rank(of member: String, among names: [String]) -> [Int] {
        let weights = names.map { weight($0, member) }
        return names.indices.sorted { (weights[$0], names[$0]) > (weights[$1], names[$1]) }
    }

    private static func weight(_ gateway: String, _ member: String) -> UInt64 {
        var checksum = FileChecksum()
        for text in [gateway, "\0", member] {
            var text = text
            text.withUTF8 { checksum.add(UnsafeRawBufferPointer($0)) }
        }
        return checksum.value
    }

    /// Which gateway a member is to be behind.
    func place(of member: Int) -> Int { places[member] }

    /// What was wrong with a gateway the last time; `nil` if it is ready.
    func failure(of gateway: Int) -> Failure? {
        gateways[gateway].condition == .ready ? nil : gateways[gateway].failure
    }

    // MARK: Choosing

    /// The gateway to reach a member through: its home, else where it is, else the best for it that has room; where none is
    /// ready, one that has not failed since the member's connect began.
    ///
    /// - Parameter start: ``failureCount`` when the member's connect began.
    /// - Returns: `nil` if all have failed since.
    mutating func choose(_ member: Int, since start: Int, now: UInt64) -> Choice? {
        let home = homes[member]
        if gateways[home].condition == .ready { return go(member, to: home) }
        if gateways[home].condition == .down, let failure = gateways[home].failure, failure.order <= start,
            failure.end <= now
        {
            gateways[home].condition = .trial
            gateways[home].term += 1
            return go(member, to: home)
        }
        if gateways[places[member]].condition == .ready { return go(member, to: places[member]) }
        let rank = Self.rank(of: members[member], among: names)
        let ready = rank.filter { gateways[$0].condition == .ready }
        if !ready.isEmpty {
            let share = Self.share(of: places.count, ready.count)
            return go(member, to: ready.first { gateways[$0].load < share } ?? ready[0])
        }
        let untried = rank.filter { gateways[$0].failure!.order <= start }
        return untried.min { gateways[$0].failure!.end < gateways[$1].failure!.end }.map { go(member, to: $0) }
    }

    private mutating func go(_ member: Int, to gateway: Int) -> Choice {
        if places[member] != gateway {
            gateways[places[member]].load -= 1
            gateways[gateway].load += 1
            places[member] = gateway
        }
        return Choice(gateway: gateway, term: gateways[gateway].term)
    }

    // MARK: What came of it

    /// It was reached.
    mutating func connected(_ choice: Choice, now: UInt64) {
        guard isCurrent(choice) else { return }
        gateways[choice.gateway].condition = .ready
        gateways[choice.gateway].upSince = gateways[choice.gateway].upSince ?? now
    }

    /// It was not reached.
    mutating func failed(_ choice: Choice, _ error: any Error, now: UInt64) {
        failureCount += isCurrent(choice) ? 1 : 0
        pause(choice, error, order: failureCount, now)
    }

    /// It was lost: others go first, but nobody has tried in vain to reach it.
    ///
    /// - Returns: whether this is news.
    @discardableResult
    mutating func lost(_ choice: Choice, _ error: any Error, now: UInt64) -> Bool {
        pause(choice, error, order: 0, now)
    }

    @discardableResult
    private mutating func pause(_ choice: Choice, _ error: any Error, order: Int, _ now: UInt64) -> Bool {
        guard isCurrent(choice) else { return false }
        let gateway = gateways[choice.gateway]
        // Who was up for a long time begins anew.
        let isStable = gateway.upSince.map { $0 &+ Self.longestPause <= now } ?? false
        let number = isStable ? 1 : (gateway.failure?.number ?? 0) + 1
        var pause = Self.pause
        for _ in 1..<min(number, 64) where pause < Self.longestPause { pause *= 2 }
        gateways[choice.gateway] = Gateway(
            condition: .down, term: gateway.term + 1,
            failure: Failure(
                error: error, number: number, order: order, end: now &+ min(pause, Self.longestPause)),
            load: gateway.load)
        return true
    }

    /// Nobody knows what would have come of it.
    mutating func abandoned(_ choice: Choice) {
        guard isCurrent(choice), gateways[choice.gateway].condition == .trial else { return }
        gateways[choice.gateway].condition = .down
    }

    /// Whether nothing has happened to the gateway since.
    func isCurrent(_ choice: Choice) -> Bool { gateways[choice.gateway].term == choice.term }

    /// Whether it was reached, and nothing has happened to it since.
    func isUp(_ choice: Choice) -> Bool { isCurrent(choice) && gateways[choice.gateway].upSince != nil }
}
