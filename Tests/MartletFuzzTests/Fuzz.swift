import Foundation
import MartletTestKit
import Synchronization
import Testing

extension SeededGenerator {
    mutating func bytes(_ range: ClosedRange<Int>) -> [UInt8] {
        let count = Int.random(in: range, using: &self)
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }

    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &self) == 0 }
}

/// How long to try. `bin/fuzz` sets the variables; without them a test does its fixed rounds.
enum Fuzz {
    private static func variable(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// For each test.
    static let seconds = variable("MARTLET_FUZZ_SECONDS")
    static let seed = variable("MARTLET_FUZZ_SEED")

    /// Runs `body` for many seeds; a failure names its seed.
    static func run(
        _ name: String, rounds: Int, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (inout SeededGenerator) throws -> Void
    ) rethrows {
        let first = seed ?? (seconds == nil ? 1 : .random(in: 0..<1 << 48))
        let end = ContinuousClock.now + .seconds(Int64(seconds ?? 0))
        if seconds != nil { print("fuzz: \(name) begins with seed \(first)") }
        var round = 0
        while seconds == nil ? round < rounds : ContinuousClock.now < end {
            let current = first + UInt64(round)
            Self.current.withLock { $0[name] = current }
            var random = SeededGenerator(seed: current)
            do { try body(&random) } catch {
                Issue.record("\(name), seed \(current): \(error)", sourceLocation: sourceLocation)
                return
            }
            round += 1
        }
        if seconds != nil { print("fuzz: \(name) did \(round) rounds") }
    }

    /// The seed of each test's present round: what traps tells nothing any more, but a debugger finds it here.
    private static let current = Mutex<[String: UInt64]>([:])
}

struct Broken: Error, CustomStringConvertible {
    var description: String
}

/// As `#expect`, cheaply, a million times.
func demand(_ isTrue: Bool, _ what: @autoclosure () -> String) throws {
    if !isTrue { throw Broken(description: what()) }
}
