import MartletTestKit
import Testing

@testable import MartletFleet

private struct Gone: Error {}

/// A plan, and members that connect.
private final class Player {
    var plan: GatewayPlan

    init(_ gateways: [String], _ members: [String]) { plan = GatewayPlan(gateways: gateways, members: members) }

    /// Connects a member, where some gateways answer.
    ///
    /// - Returns: through which it was, and which were tried.
    func connect(_ member: Int, now: UInt64, _ lives: (Int) -> Bool) -> (gateway: Int?, tried: [Int]) {
        let start = plan.failureCount
        var tried: [Int] = []
        while let choice = plan.choose(member, since: start, now: now) {
            tried.append(choice.gateway)
            if lives(choice.gateway) {
                plan.connected(choice, now: now)
                return (choice.gateway, tried)
            }
            plan.failed(choice, Gone(), now: now)
        }
        return (nil, tried)
    }

    func choose(_ member: Int, since start: Int, now: UInt64) -> GatewayPlan.Choice? {
        plan.choose(member, since: start, now: now)
    }

    func lose(_ choice: GatewayPlan.Choice, now: UInt64) -> Bool { plan.lost(choice, Gone(), now: now) }
}

@Suite struct GatewayPlanTests {
    private static let second: UInt64 = 1_000_000_000

    private static func members(_ count: Int) -> [String] { (0..<count).map { "web\($0)" } }

    @Test(arguments: [(10, 1000), (3, 100), (10, 4), (1, 7), (7, 0)])
    func `Each gateway gets its even share, whatever order they are named in`(_ count: Int, _ members: Int) {
        let names = (0..<count).map { "gw\($0)" }
        let plan = GatewayPlan(gateways: names, members: Self.members(members))
        let places = (0..<members).map { names[plan.place(of: $0)] }
        let share = (members + count - 1) / count
        for name in names { #expect(places.count { $0 == name } <= share) }
        let again = GatewayPlan(gateways: names.reversed(), members: Self.members(members))
        #expect((0..<members).map { names.reversed()[again.place(of: $0)] } == places)
    }

    @Test func `Where one fails those behind it move, evenly, and nobody else`() {
        let player = Player(["a", "b", "c", "d"], Self.members(100))
        let before = (0..<100).map { player.plan.place(of: $0) }
        for member in 0..<100 {
            let (gateway, tried) = player.connect(member, now: 0) { $0 != 2 }
            #expect(gateway != 2 && gateway == player.plan.place(of: member))
            if before[member] != 2 { #expect(gateway == before[member] && tried.count == 1) }
        }
        // The first who found it told all others.
        #expect(player.plan.failure(of: 2)?.number == 1)
        for gateway in [0, 1, 3] {
            #expect((25...34).contains((0..<100).count { player.plan.place(of: $0) == gateway }))
        }
    }

    @Test func `One that comes back is used again behind its pause, which grows up to a minute`() throws {
        let player = Player(["a", "b"], Self.members(20))
        let own = (0..<20).filter { player.plan.place(of: $0) == 0 }
        var now: UInt64 = 0
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] as [UInt64] {
            #expect(player.connect(own[0], now: now) { $0 == 1 } == (1, [0, 1]))
            // Nobody tries it before that, and who is not behind it never does.
            now += pause * Self.second - 1
            #expect(player.connect(own[1], now: now) { _ in true } == (1, [1]))
            now += 1
        }
        // One tries it, and the others do not wait for that.
        let trial = try #require(player.choose(own[0], since: player.plan.failureCount, now: now))
        #expect(trial.gateway == 0)
        #expect(player.connect(own[1], now: now) { _ in true }.gateway == 1)
        player.plan.abandoned(trial)
        #expect(player.connect(own[2], now: now) { _ in true }.gateway == 0)
        #expect(player.connect(own[1], now: now) { _ in true }.gateway == 0)
        #expect(player.plan.failure(of: 0) == nil)
        // If it was up for a minute, a loss is its first.
        let choice = try #require(player.choose(own[0], since: player.plan.failureCount, now: now))
        #expect(player.plan.isUp(choice))
        #expect(player.lose(choice, now: now + 60 * Self.second))
        #expect(player.plan.failure(of: 0)?.number == 1 && !player.plan.isCurrent(choice))
    }

    @Test func `Old news changes nothing`() throws {
        let player = Player(["a", "b"], ["x", "y"])
        let gateway = player.plan.place(of: 0)
        let first = try #require(player.choose(0, since: 0, now: 0))
        player.plan.connected(first, now: 0)
        #expect(player.lose(first, now: 1))
        #expect(!player.lose(first, now: 2))
        player.plan.failed(first, Gone(), now: 2)
        #expect(player.plan.failure(of: gateway)?.number == 1)
        let second = try #require(player.choose(0, since: 0, now: 5 * Self.second))
        #expect(second.gateway == gateway && second != first)
        player.plan.connected(second, now: 5 * Self.second)
        #expect(!player.lose(first, now: 6 * Self.second))
        #expect(player.plan.isUp(second))
    }

    @Test func `Where none answers, each is tried once, by the next one too`() {
        let player = Player(["a", "b", "c"], ["x", "y"])
        for now in [0, 1, 100 * Self.second] {
            for member in 0..<2 {
                let (gateway, tried) = player.connect(member, now: now) { _ in false }
                #expect(gateway == nil && tried.sorted() == [0, 1, 2])
            }
        }
        #expect((0..<3).allSatisfy { player.plan.failure(of: $0)!.number == 6 })
    }

    @Test func `The only one that is lost is connected anew at once, behind others if there are some`() throws {
        let alone = Player(["a"], ["x"])
        let first = try #require(alone.choose(0, since: 0, now: 0))
        alone.plan.connected(first, now: 0)
        #expect(alone.lose(first, now: 1))
        #expect(alone.connect(0, now: 1) { _ in true } == (0, [0]))
        let two = Player(["a", "b"], ["x"])
        let home = try #require(two.choose(0, since: 0, now: 0))
        two.plan.connected(home, now: 0)
        #expect(two.lose(home, now: 1))
        let other = 1 - home.gateway
        #expect(two.connect(0, now: 1) { $0 == home.gateway } == (home.gateway, [other, home.gateway]))
    }

    /// Gateways come and go by chance, members connect at the same time.
    @Test(arguments: 0..<200) func `Whatever happens, the rules hold`(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let (count, members) = (Int.random(in: 1...6, using: &random), Int.random(in: 1...40, using: &random))
        var plan = GatewayPlan(gateways: (0..<count).map { "gw\($0)" }, members: Self.members(members))
        var (now, isUp) = (UInt64(0), [Bool](repeating: true, count: count))
        var underWay: [(member: Int, start: Int, tried: Set<Int>, choice: GatewayPlan.Choice)] = []
        for _ in 0..<500 {
            now += UInt64.random(in: 0...3 * Self.second, using: &random)
            if Int.random(in: 0..<10, using: &random) == 0 { isUp[Int.random(in: 0..<count, using: &random)].toggle() }
            if underWay.isEmpty || Bool.random(using: &random) {
                let (member, start) = (Int.random(in: 0..<members, using: &random), plan.failureCount)
                // Who begins always has somebody to try.
                let choice = plan.choose(member, since: start, now: now)!
                underWay.append((member, start, [choice.gateway], choice))
                continue
            }
            var (member, start, tried, choice) = underWay.remove(
                at: Int.random(in: 0..<underWay.count, using: &random))
            if isUp[choice.gateway] {
                plan.connected(choice, now: now)
                continue
            }
            plan.failed(choice, Gone(), now: now)
            #expect(!plan.isCurrent(choice))
            guard let next = plan.choose(member, since: start, now: now) else {
                #expect((0..<count).allSatisfy { plan.failure(of: $0) != nil })
                continue
            }
            #expect(plan.place(of: member) == next.gateway)
            tried.insert(next.gateway)
            underWay.append((member, start, tried, next))
        }
    }
}

@Suite struct JointPlanTests {
    private static let second: UInt64 = 1_000_000_000
    private let a = JointWay.link(ObjectIdentifier(JointWay.self), 1)
    private let b = JointWay.link(ObjectIdentifier(JointWay.self), 2)

    private final class Player {
        var plan = JointPlan()

        func begun(_ now: UInt64) -> Set<[Int]> {
            var all: Set<[Int]> = []
            while let members = plan.next(now: now) { all.insert(members) }
            return all
        }
    }

    @Test func `Those on one way begin when the last has come, and no way waits for another`() {
        let player = Player()
        for member in 0..<6 { player.plan.expect(member, on: member < 4 ? a : b, now: 0) }
        for member in 0..<3 {
            player.plan.came(member, on: a, now: 1)
            #expect(player.begun(1).isEmpty)
        }
        player.plan.came(4, on: b, now: 1)
        player.plan.came(5, on: b, now: 1)
        #expect(player.begun(1) == [[4, 5]])
        player.plan.came(3, on: a, now: 2)
        #expect(player.begun(2) == [[0, 1, 2, 3]])
        #expect(player.plan.nextTime == nil)
    }

    @Test func `Who leaves is not waited for, nor who comes on another way`() {
        let player = Player()
        for member in 0..<4 { player.plan.expect(member, on: a, now: 0) }
        player.plan.came(0, on: a, now: 1)
        player.plan.left(1, now: 1)
        player.plan.came(2, on: b, now: 1)
        #expect(player.begun(1) == [[2]])
        player.plan.left(3, now: 1)
        #expect(player.begun(1) == [[0]])
    }

    @Test func `Half of them wait for the others twice as long again, and at least five seconds`() {
        let player = Player()
        for member in 0..<5 { player.plan.expect(member, on: a, now: 0) }
        player.plan.came(0, on: a, now: 10)
        player.plan.came(1, on: a, now: 10)
        #expect(player.plan.nextTime == nil)
        player.plan.came(2, on: a, now: 10)
        #expect(player.plan.nextTime == 10 + 5 * Self.second)
        #expect(player.begun(5 * Self.second).isEmpty)
        #expect(player.begun(10 + 5 * Self.second) == [[0, 1, 2]])
        // Those who are late wait for each other.
        player.plan.came(3, on: a, now: 15 * Self.second)
        #expect(player.plan.nextTime == 15 * Self.second + 2 * (10 * Self.second - 10))
        player.plan.came(4, on: a, now: 16 * Self.second)
        #expect(player.begun(16 * Self.second) == [[3, 4]])
    }

    @Test func `Who is connected already is waited for longer`() {
        let player = Player()
        for member in 0..<4 { player.plan.expect(member, on: a, isNear: member == 3, now: 0) }
        for member in 0..<2 { player.plan.came(member, on: a, now: 0) }
        #expect(player.plan.nextTime == 35 * Self.second)
        #expect(player.begun(30 * Self.second).isEmpty)
        player.plan.came(3, on: a, now: 30 * Self.second)
        #expect(player.begun(30 * Self.second) == [[0, 1, 3]])
        player.plan.expect(5, on: b, now: 0)
        player.plan.expect(6, on: b, isNear: true, now: 0)
        player.plan.came(5, on: b, now: 1)
        #expect(player.begun(36 * Self.second) == [[5]])
    }

    @Test func `Who may come on any way is waited for on each`() {
        let player = Player()
        player.plan.expect(0, on: a, now: 0)
        player.plan.expect(1, on: .unknown, now: 0)
        player.plan.expect(2, on: .alone, now: 0)
        player.plan.came(0, on: a, now: 1)
        #expect(player.begun(1).isEmpty)
        player.plan.came(1, on: a, now: 2)
        #expect(player.begun(2) == [[0, 1]])
    }
}
