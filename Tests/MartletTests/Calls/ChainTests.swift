import Glibc
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Appends to a list that the context keeps, and fails if asked to.
struct Step: RemoteTask {
    static let done = Locked<[String]>([])
    var name: String
    var fails = false
    func run(in context: RemoteContext) async throws -> [String] {
        if fails { throw BadNews(text: "\(name) failed") }
        Self.done.withLock { $0.append(name) }
        return Self.done.withLock { $0 }
    }
}

struct StepsDone: RemoteTask {
    func run(in context: RemoteContext) async throws -> [String] { Step.done.withLock { $0 } }
}

struct BlockThreads: RemoteTask {
    var channel: Channel<Int>
    var milliseconds: Int
    func run(in context: RemoteContext) async throws {
        try await channel.send(0)
        usleep(UInt32(milliseconds) * 1000)
    }
}

struct SleepPosted: RemoteTask {
    var channel: Channel<String>
    func run(in context: RemoteContext) async throws {
        try await channel.send("started")
        do { try await Task.sleep(for: .seconds(60)) } catch { channel.close(throwing: error) }
    }
}

@Suite(.leakChecked) struct ChainTests {
    @Test(arguments: Way.available)
    func `A chain runs in order`(way: Way) async throws {
        try await withContext(way) { context in
            let chain = context.makeChain()
            var calls: [ChainedCall<Step>] = []
            for number in 0..<50 { calls.append(try await chain.add(Step(name: "\(number)"))) }
            for (number, call) in calls.enumerated() {
                #expect(try await call.value() == (0...number).map(String.init))
            }
        }
    }

    @Test func `What follows a failure is not run, and says so`() async throws {
        try await withLocalContext { _, context in
            let chain = context.makeChain()
            let first = try await chain.add(Step(name: "first"))
            let second = try await chain.add(Step(name: "second", fails: true))
            let third = try await chain.add(Step(name: "third"))
            #expect(try await first.value() == ["first"])
            let failure = try await expectError(.taskFailed) { try await second.value() }
            #expect(failure.message.contains("second failed"))
            let broken = try await expectError(.chainBroken) { try await third.value() }
            #expect(broken.message.contains("second failed"))
            try await expectError(.chainBroken) { try await chain.call(Step(name: "fourth")) }
            #expect(try await context.call(StepsDone()) == ["first"])
            // A new one begins anew.
            #expect(try await context.makeChain().call(Step(name: "fifth")) == ["first", "fifth"])
        }
    }

    @Test func `What was added runs though nobody waits for it`() async throws {
        try await withLocalContext { _, context in
            let last = try await { () async throws -> ChainedCall<Step> in
                let chain = context.makeChain()
                for number in 0..<20 { _ = try await chain.add(Step(name: "\(number)")) }
                return try await chain.add(Step(name: "last"))
            }()
            #expect(try await last.value().count == 21)
        }
    }

    @Test func `When the context is lost every call of a chain ends`() async throws {
        try await withLocalContext { _, context in
            let chain = context.makeChain()
            let call = try await chain.add(Step(name: "x"))
            _ = try await call.value()
            kill(context.processID, SIGKILL)
            await #expect(throws: MartletError.self) {
                while true { _ = try await chain.call(Step(name: "y")) }
            }
        }
    }

    @Test(arguments: Way.available)
    func `The status comes while every thread is busy`(way: Way) async throws {
        try await withContext(way) { context in
            let quiet = try await context.status()
            #expect(quiet.running == 0)
            #expect(quiet.openStreams == 1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                let (here, there) = context.makeChannel(of: Int.self)
                _ = (here, there)
                var ends: [Channel<Int>] = []
                // More than the pool has threads.
                for _ in 0..<100 {
                    let (mine, far) = context.makeChannel(of: Int.self)
                    ends.append(mine)
                    group.addTask { try await context.call(BlockThreads(channel: far, milliseconds: 1500)) }
                }
                for end in ends.prefix(4) { #expect(try await end.receive(timeout: .seconds(20)) == 0) }
                let busy = try await context.status(deadline: .seconds(5))
                #expect(busy.running > 4)
                #expect(busy.uptime >= quiet.uptime)
                try await group.waitForAll()
            }
            await eventually { (try? await context.status().running) == 0 }
        }
    }

    @Test func `A posted task runs on when its poster is gone, and ends with the context`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: String.self)
            let poster = Task { try await context.post(SleepPosted(channel: there)) }
            try await poster.value
            #expect(try await here.receive(timeout: .seconds(10)) == "started")
            #expect(try await context.status().running == 1)
            await context.close()
            // It was cancelled, or lost with its context: it did not sleep on.
            await #expect(throws: MartletError.self) { try await here.waitClose(timeout: .seconds(10)) }
        }
    }

    @Test func `A task that cannot be handed over is refused at once`() async throws {
        struct NotRemote: RemoteTask { func run(in context: RemoteContext) async throws {} }
        try await withLocalContext { _, context in
            try await expectError(.taskNotRemote) { try await context.post(NotRemote()) }
            await context.close()
            try await expectError(.contextLost) { try await context.post(Nothing()) }
        }
    }
}
