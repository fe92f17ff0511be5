import MartletTestKit
import Testing

@testable import MartletFleet

@Suite struct FleetPlannerTests {
    @Test(
        arguments: [
            (10, [], [10]), (10, [1, .percent(10), .rest], [1, 1, 8]), (100, [1, .percent(10), .rest], [1, 10, 89]),
            (10, [3], [3, 3, 3, 1]), (5, [.percent(1)], [1, 1, 1, 1, 1]), (3, [5, 1], [3]), (0, [1], []),
            (7, [1, 2], [1, 2, 2, 2]),
            (11, [.percent(25)], [3, 3, 3, 2]),
        ] as [(Int, [BatchSize], [Int])])
    func `Batches hold everybody once`(_ count: Int, _ sizes: [BatchSize], _ expected: [Int]) {
        let batches = FleetPlanner.batches(count, sizes)
        #expect(batches.map(\.count) == expected)
        #expect(batches.flatMap { Array($0) } == Array(0..<count))
    }

    @Test func `Sizes are read as people write them`() {
        #expect(BatchSize("3") == .count(3) && BatchSize("10%") == .percent(10) && BatchSize("rest") == .rest)
        for text in ["", "0", "-1", "0%", "101%", "%", "x", "3.5"] { #expect(BatchSize(text) == nil, "\(text)") }
    }

    @Test func `A budget is a number or a share`() {
        #expect(FailureBudget.count(2).limit(of: 5) == 2)
        #expect(FailureBudget.share(0.1).limit(of: 5) == 0)
        #expect(FailureBudget.share(0.1).limit(of: 20) == 2)
        #expect(FailureBudget.unlimited.limit(of: 5) == .max)
    }

    @Test func `Pauses grow up to the longest, less what chance takes`() {
        var random = SeededGenerator(seed: 1)
        var policy = RetryPolicy(connects: 9)
        policy.jitter = 0
        let pauses = (1...7).map { policy.pause(before: $0, using: &random) }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30].map { Duration.seconds($0) })
        policy.jitter = 0.5
        for number in 1...7 {
            let pause = policy.pause(before: number, using: &random)
            #expect(pause <= pauses[number - 1] && pause >= pauses[number - 1] / 2)
        }
        #expect(policy.pause(before: 1_000_000, using: &random) <= .seconds(30))
    }

    /// Plays a fleet by chance and holds what must always be.
    @Test(arguments: 0..<300) func `Whatever happens, the rules hold`(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 0...30, using: &random)
        let steps = Int.random(in: 1...3, using: &random)
        var strategy = FleetStrategy(
            batches: [[], [1, .percent(30), .rest], [2]].randomElement(using: &random)!,
            limit: [nil, 1, 4].randomElement(using: &random)!,
            failures: [.unlimited, .count(2), .share(0.2)].randomElement(using: &random)!,
            retry: RetryPolicy(
                connects: Int.random(in: 0...2, using: &random), runs: Int.random(in: 0...1, using: &random)))
        let verifies = Bool.random(using: &random)
        if verifies { strategy.verify = { _ in } }
        let failureShare = [0, 0.1, 0.5].randomElement(using: &random)!
        let cancelsAt = Bool.random(using: &random) ? Int.random(in: 0...60, using: &random) : nil

        var planner = FleetPlanner(count, strategy, steps: steps)
        var running: [Int: Int] = [:]
        var pausing: Set<Int> = []
        var verifying: Int?
        var done: [Int: Bool] = [:]
        var stepsDone = [Int](repeating: 0, count: count)
        var (batch, turn, finalFailures, failuresAtStop) = (-1, 0, 0, 0)
        while true {
            turn += 1
            #expect(turn < 10_000)
            if turn > 10_000 { return }
            if cancelsAt == turn { planner.cancel() }
            while let action = planner.next() {
                switch action {
                case .batch(let number):
                    #expect(number == batch + 1 && planner.stop == nil)
                    #expect(running.isEmpty && pausing.isEmpty && verifying == nil)
                    // All before it are over.
                    let before = planner.batches[..<number].flatMap { Array($0) }
                    #expect(before.allSatisfy { done[$0] != nil })
                    batch = number
                case .start(let member, let step):
                    #expect(planner.stop == nil && planner.batches[batch].contains(member))
                    #expect(running[member] == nil && done[member] == nil && !pausing.contains(member))
                    #expect(step == stepsDone[member])
                    // In step: all others of the batch that go on have done what is before it.
                    #expect(planner.batches[batch].allSatisfy { done[$0] == false || stepsDone[$0] >= step })
                    running[member] = step
                    #expect(running.count <= strategy.limit ?? .max)
                case .verify(let number):
                    #expect(number == batch && running.isEmpty && pausing.isEmpty && verifies)
                    verifying = number
                }
            }
            if let number = verifying {
                #expect(number == batch)
                verifying = nil
                planner.verified(Double.random(in: 0..<1, using: &random) >= failureShare / 4)
                continue
            }
            let choices = running.keys.sorted().map { ($0, true) } + pausing.sorted().map { ($0, false) }
            guard let (member, isRunning) = choices.randomElement(using: &random) else { break }
            let wasStopped = planner.stop != nil
            if !isRunning {
                pausing.remove(member)
                planner.woke(member)
                if wasStopped { done[member] = false }
                continue
            }
            running[member] = nil
            let fails = Double.random(in: 0..<1, using: &random) < failureShare
            let ending: FleetPlanner.Ending =
                fails
                ? .failed(isConnect: Bool.random(using: &random), canRetry: Bool.random(using: &random)) : .succeeded
            switch planner.ended(member, ending, using: &random) {
            case .done:
                done[member] = !fails
                if fails { finalFailures += 1 } else { stepsDone[member] += 1 }
                if !wasStopped { failuresAtStop = finalFailures }
            case .goesOn:
                #expect(!fails)
                stepsDone[member] += 1
            case .pause(let pause):
                #expect(fails && pause >= .zero && !wasStopped)
                pausing.insert(member)
            }
        }
        #expect(planner.isFinished)
        #expect(failuresAtStop <= (planner.allowedFailures == .max ? .max : planner.allowedFailures + 1))
        if planner.stop == nil {
            #expect(done.count == count)
            #expect(done.filter(\.value).allSatisfy { stepsDone[$0.key] == steps })
        }
        for member in 0..<count where !planner.hasBegun(member) { #expect(done[member] == nil && planner.stop != nil) }
    }
}
