import Martlet

/// Counts primes: a task is a `Codable` value with a `run`, and there is nothing to register.
struct CountPrimes: RemoteTask {
    var below: Int

    struct Answer: Codable, Sendable {
        var count: Int
        var largest: Int
        var processID: Int32
    }

    func run(in context: RemoteContext) async throws -> Answer {
        var isComposite = [Bool](repeating: false, count: max(2, below))
        var (count, largest) = (0, 0)
        for number in 2..<max(2, below) where !isComposite[number] {
            (count, largest) = (count + 1, number)
            for multiple in stride(from: number * number, to: below, by: number) { isComposite[multiple] = true }
        }
        return Answer(count: count, largest: largest, processID: SystemCalls.processID)
    }
}

/// Fails with an error of its own type, which arrives as that type.
struct OpenVault: RemoteTask {
    struct Locked: Error, Codable, Equatable {
        var attemptsLeft: Int
    }

    var code: Int

    func run(in context: RemoteContext) async throws(Locked) -> String {
        guard code == 42 else { throw Locked(attemptsLeft: 2) }
        return "gold"
    }
}
