import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked) struct ConcurrentCallTests {
    @Test func `A thousand calls in flight get each its own answer`() async throws {
        try await withLocalContext { _, context in
            try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for number in 0..<1000 {
                    group.addTask { (number, try await context.call(Add(a: number, b: 1_000_000))) }
                }
                var answers = 0
                for try await (number, answer) in group {
                    #expect(answer == number + 1_000_000)
                    answers += 1
                }
                #expect(answers == 1000)
            }
        }
    }

    @Test func `Calls started early are collected late, in any order`() async throws {
        try await withLocalContext { _, context async throws in
            async let first = context.call(Add(a: 1, b: 0))
            async let second = context.call(Echo(value: "two"))
            async let third = context.run("echo three")
            #expect(try await third.lines == ["three"])
            #expect(try await second == "two")
            #expect(try await first == 1)
        }
    }

    @Test(arguments: [Block.Way.sleeping, .spinning])
    func `A call that holds its thread stops nothing else`(way: Block.Way) async throws {
        let log = OutputLog()
        var options = log.options
        options.heartbeatLimit = .milliseconds(2000)
        try await TestFolder.with { scratch in
            try await withLocalContext(options) { _, context in
                let blocked = (0..<3).map { number in
                    let block = Block(
                        way: way, started: scratch.file("started\(number)"), release: scratch.file("release"))
                    return Task { try await context.call(block) }
                }
                await eventually { scratch.count("started") == 3 }
                // Longer than the heartbeat limit: the far side is heard all the time.
                let start = ContinuousClock.now
                while ContinuousClock.now - start < .milliseconds(3000) {
                    _ = try await context.ping(deadline: .milliseconds(1900))
                    #expect(try await context.call(Add(a: 1, b: 1)) == 2)
                    #expect(try await context.run("echo on").lines == ["on"])
                }
                try await context.call(Say(way: .print, text: "still here"))
                await eventually { log.line(with: "still here") != nil }
                scratch.touch("release")
                for task in blocked { #expect(try await task.value == false) }
            }
        }
    }

    @Test func `More blocking calls than there are threads leave the I/O side at work`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let count = 160
                let blocked = (0..<count).map { number in
                    let block = Block(
                        way: .sleeping, started: scratch.file("started\(number)"), release: scratch.file("release"))
                    return Task { try await context.call(block) }
                }
                await eventually(within: .seconds(20)) { scratch.count("started") >= 100 }
                _ = try await context.ping(deadline: .seconds(5))
                // Commands need no thread of the pool.
                #expect(try await context.run("echo on").lines == ["on"])
                scratch.touch("release")
                for task in blocked { #expect(try await task.value == false) }
                #expect(scratch.count("started") == count)
            }
        }
    }

    @Test func `A small call passes a large transfer`() async throws {
        try await withLocalContext { _, context in
            let bulk = Task {
                for _ in 0..<6 { _ = try await context.call(Echo(value: [UInt8](repeating: 1, count: 16 << 20))) }
            }
            var calls = 0
            let done = Task { try await bulk.value }
            while calls < 200 {
                #expect(try await context.call(Add(a: calls, b: 1), deadline: .seconds(5)) == calls + 1)
                calls += 1
            }
            try await done.value
        }
    }
}
