import Foundation
import MartletTestKit
import Synchronization
import Testing

@testable import Martlet

/// What this process holds.
struct Holdings: CustomStringConvertible {
    var descriptors: Int
    var threads: Int
    var children: Int
    var memory: Int

    static var now: Holdings {
        func count(_ folder: String) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(folder)").count) ?? 0
        }
        return Holdings(
            descriptors: count("fd"), threads: count("task"), children: ProcessTable.descendants().count,
            memory: residentMemory())
    }

    var description: String {
        "\(descriptors) descriptors, \(threads) threads, \(children) children, \(memory >> 20) MiB"
    }
}

/// Everything that a controller does, again and again, with what goes wrong: nothing may stay. `bin/soak` makes it long.
@Suite(.leakChecked(threadAllowance: 140)) struct SoakTests {
    private static let seconds = ProcessInfo.processInfo.environment["MARTLET_SOAK_SECONDS"].flatMap { Int64($0) }

    private final class Counts: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        func add(_ what: String) { counts.withLock { $0[what, default: 0] += 1 } }
        var text: String {
            counts.withLock { $0.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") }
        }
        func of(_ what: String) -> Int { counts.withLock { $0[what] ?? 0 } }
    }

    private static func use(_ context: Context, _ other: Context, _ counts: Counts) async throws {
        for number in 0..<20 {
            #expect(try await context.call(Add(a: number, b: 1)) == number + 1)
            counts.add("calls")
        }
        // From one to the other, through here.
        let (a, b) = context.makeChannel(of: Int.self)
        async let sent: Void = context.call(SendNumbers(to: a, count: 500))
        #expect(try await other.call(Sum(from: b)) == 500 * 499 / 2)
        try await sent
        counts.add("channels")
        // Given up half-way.
        let (here, there) = context.makeChannel(of: Int.self)
        async let ended: Void = context.call(SendNumbers(to: there, count: 1_000_000))
        #expect(try await here.receive(timeout: .seconds(30)) == 0)
        here.close()
        _ = try? await ended
        counts.add("channels closed early")
        let call = Task { try await context.call(WaitForEver()) }
        #expect(try await context.call(Add(a: 1, b: 1)) == 2)
        call.cancel()
        _ = try? await call.value
        counts.add("cancels")
        let command = Task { try await context.run("sleep 1000") }
        #expect(try await context.run("echo x").lines == ["x"])
        command.cancel()
        _ = try? await command.value
        counts.add("commands")
    }

    private static func round(_ martlet: Controller, _ number: Int, _ counts: Counts) async throws {
        let context = try await martlet.connect(.local)
        let below = try await context.connect(.local)
        counts.add("connects")
        counts.add("connects")
        try await use(below, context, counts)
        switch number % 4 {
        case 0: await context.close()
        case 1:
            await below.close()
            await context.close()
        case 2:
            // In the midst of calls and with a channel open.
            let (here, there) = context.makeChannel(of: Int.self)
            let calls = [
                Task { try await below.call(WaitForEver()) },
                Task { try await below.call(SendNumbers(to: there, count: .max)) },
            ]
            _ = try await here.receive(timeout: .seconds(30))
            kill(context.facts.processID, SIGKILL)
            for call in calls { await #expect(throws: (any Error).self) { try await call.value } }
            counts.add("kills")
        default:
            await #expect(throws: (any Error).self) { try await below.call(Die()) }
            counts.add("kills")
            #expect(try await context.call(Add(a: 1, b: 2)) == 3)
            await context.close()
        }
    }

    @Test func `Nothing stays of connects, calls, cancels, channels and kills`() async throws {
        var options = MartletOptions()
        options.onOutput = { _ in }
        let counts = Counts()
        try await withMartlet(options) { martlet in
            func run(until end: ContinuousClock.Instant) async throws {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<6 {
                        group.addTask {
                            var number = worker
                            repeat {
                                try await Self.round(martlet, number, counts)
                                number += 1
                            } while ContinuousClock.now < end
                        }
                    }
                    try await group.waitForAll()
                }
                await eventually("no child is left") { martlet.runtime.children.isEmpty }
                await eventually("no stream is left") { martlet.runtime.node.openStreams == 0 }
                await eventually("no process is left") { Holdings.now.children <= 1 }
            }
            // What is needed once, pools and tables, is there before.
            try await run(until: .now + .seconds(3))
            let before = Holdings.now
            try await run(until: .now + .seconds(Self.seconds ?? 15))
            // Ends that nobody took are forgotten after a while; descriptors are closed a moment after their processes end.
            await eventually(within: .seconds(15), "descriptors: \(before)") {
                Holdings.now.descriptors <= before.descriptors + 2
            }
            let after = Holdings.now
            print("soak: \(counts.text)\nsoak: before \(before)\nsoak: after \(after)")
            #expect(after.threads <= before.threads + 8)
            #expect(after.memory - before.memory < 24 << 20)
            #expect(counts.of("kills") > 4)
        }
    }

    @Test func `A thousand contexts at once`() async throws {
        let environment = ProcessInfo.processInfo.environment
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let old = limit
        limit.rlim_cur = min(limit.rlim_max, 16_384)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        defer {
            var old = old
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
        }
        // Each is a process of this large test program.
        let wanted = environment["MARTLET_SOAK_CONTEXTS"].flatMap { Int($0) } ?? 1_000
        let count = min(wanted, Int(limit.rlim_cur) / 6, Self.availableMemory / (8 << 20))
        var options = MartletOptions()
        options.onOutput = { _ in }
        options.heartbeatLimit = .seconds(60)
        try await withMartlet(options) { martlet in
            _ = try await martlet.connect(.local).call(Add(a: 1, b: 1))
            let before = Holdings.now
            let start = ContinuousClock.now
            var connect = ConnectOptions()
            connect.deadline = .seconds(120)
            let contexts = try await withThrowingTaskGroup(of: Context.self) { group in
                for _ in 0..<count {
                    group.addTask { [connect] in try await martlet.connect(.local, options: connect) }
                }
                return try await group.reduce(into: [Context]()) { $0.append($1) }
            }
            let time = ContinuousClock.now - start
            let after = Holdings.now
            #expect(contexts.count == count)
            let sum = try await withThrowingTaskGroup(of: Int.self) { group in
                for (number, context) in contexts.enumerated() {
                    group.addTask { try await context.call(Add(a: number, b: 0), deadline: .seconds(60)) }
                }
                return try await group.reduce(0, +)
            }
            #expect(sum == count * (count - 1) / 2)
            let descriptors = Double(after.descriptors - before.descriptors) / Double(count)
            let memory = (after.memory - before.memory) / count
            print(
                "soak: \(count) contexts in \(time): \(descriptors) descriptors and \(memory >> 10) KiB of the controller's"
                    + " memory for each; before \(before), after \(after)")
            #expect(descriptors <= 6)
            #expect(memory < 400 << 10)
        }
    }

    /// In bytes.
    private static var availableMemory: Int {
        let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}
