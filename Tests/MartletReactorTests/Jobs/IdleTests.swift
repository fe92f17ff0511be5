import Foundation
import MartletTestKit
import Testing

@testable import MartletReactor

@Suite("An idle reactor", .nothingLeft, .timeLimit(.minutes(2)))
struct IdleTests {
    /// The switches of all threads that are called `reactor…`, by thread.
    private static func switches() -> [String: Int] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        var counts: [String: Int] = [:]
        for task in tasks {
            guard let status = try? String(contentsOfFile: "/proc/self/task/\(task)/status", encoding: .utf8),
                status.hasPrefix("Name:\treactor")
            else { continue }
            for line in status.split(separator: "\n") where line.contains("voluntary_ctxt_switches") {
                counts[task, default: 0] += Int(line.split(separator: "\t").last ?? "") ?? 0
            }
        }
        return counts
    }

    @Test func `Nothing runs while there is nothing to do`() async throws {
        try await withReactor { reactor in
            let before = Self.switches()
            await withTaskExecutorPreference(reactor) {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<100 { group.addTask { await Task.yield() } }
                }
            }
            reactor.schedule(at: Reactor.now + 3_600_000_000_000) {}
            await eventually("a monitor at rest") { reactor.withState { $0.isMonitorAsleep && $0.isPollerAsleep } }
            // A stretch of time is what this is about, so it is waited for, not slept through elsewhere.
            let first = Self.switches()
            let end = ContinuousClock.now + .milliseconds(300)
            await eventually { ContinuousClock.now >= end }
            let second = Self.switches()
            #expect(first == second)
            #expect(Set(first.keys).subtracting(before.keys).count >= 2)
        }
    }

    @Test func `Threads beyond the poller end when they are idle`() async throws {
        try await withReactor(maximumThreads: 8, idleLimit: 10_000_000) { reactor in
            let gate = try MartletReactor.Pipe()
            let jobs = (0..<5).map { _ in Task(executorPreference: reactor) { readByte(gate.readEnd) } }
            await eventually { reactor.withState { $0.threads } >= 6 }
            closeDescriptor(gate.writeEnd)
            for job in jobs { _ = await job.value }
            await eventually { reactor.withState { $0.threads } == 1 }
            closeDescriptor(gate.readEnd)
        }
    }

    @Test func `A thread that gives up just when work comes takes it first`() async throws {
        // With a limit this short, threads end all the time.
        try await withReactor(maximumThreads: 4, idleLimit: 20_000) { reactor in
            let ran = Counter()
            for _ in 0..<3000 {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<3 { group.addTask(executorPreference: reactor) { ran.add() } }
                }
            }
            #expect(ran.count == 9000)
        }
    }
}
