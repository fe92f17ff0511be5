import Glibc
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Sends its number, waits for leave, and ends or fails.
struct Worker: RemoteTask {
    var channel: Channel<Int>
    var number: Int
    func run(in context: RemoteContext) async throws {
        try await channel.send(number)
        guard let order = try await channel.receive() else { return }
        try await channel.send(order * number)
        if order < 0 { channel.close(throwing: BadNews(text: "worker \(number)")) }
    }
}

/// Takes jobs as they come and answers each, until there are none.
struct Serve: RemoteTask {
    var jobs: Channel<Int>
    func run(in context: RemoteContext) async throws {
        for try await job in jobs { try await jobs.send(job * job) }
    }
}

private func withWorkers(
    _ count: Int,
    _ body: @Sendable ([Context], ChannelGroup<String, Int, Int>) async throws -> Void
) async throws {
    try await withMartlet(OutputLog().options) { martlet in
        var contexts: [Context] = []
        var ends: [(String, Channel<Int>)] = []
        var tasks: [Task<Void, any Error>] = []
        for number in 1...count {
            let context = try await martlet.connect(.local)
            let (here, there) = martlet.makeChannel(of: Int.self)
            contexts.append(context)
            ends.append(("w\(number)", here))
            tasks.append(Task { try await context.call(Worker(channel: there, number: number)) })
        }
        try await body(contexts, ChannelGroup(ends))
        for task in tasks { _ = await task.result }
    }
}

@Suite(.leakChecked) struct ChannelGroupTests {
    @Test func `A group counts, finds and iterates its members`() async throws {
        try await withMartlet { martlet in
            let ends = ["a", "b", "a"].map { ($0, martlet.makeChannel(of: Int.self).0) }
            let group = ChannelGroup(ends)
            #expect(group.count == 3)
            #expect(group.map(\.member) == ["a", "b", "a"])
            #expect(group[member: "b"] == ends[1].1)
            #expect(group[2].end == ends[2].1)
            #expect(group[member: "c"] == nil)
        }
    }

    @Test func `One item to each, one from each`() async throws {
        try await withWorkers(3) { _, group in
            #expect(try await group.receiveEach(timeout: .seconds(10)).map(\.item) == [1, 2, 3])
            try await group.sendEach(10)
            let results = try await group.receiveEach(timeout: .seconds(10))
            #expect(results.map(\.member) == ["w1", "w2", "w3"])
            #expect(results.compactMap(\.item).reduce(0, +) == 60)
            try await group.waitClose(timeout: .seconds(10))
        }
    }

    @Test func `All that comes is one sequence, which tells who has ended`() async throws {
        try await withWorkers(4) { _, group in
            try await group.sendEach(2)
            var items: [String: [Int]] = [:]
            var ended: [String] = []
            for try await event in group.events {
                switch event {
                case .item(let member, let value): items[member, default: []].append(value)
                case .ended(let member, let error):
                    #expect(error == nil)
                    ended.append(member)
                }
            }
            #expect(items == ["w1": [1, 2], "w2": [2, 4], "w3": [3, 6], "w4": [4, 8]])
            #expect(ended.sorted() == ["w1", "w2", "w3", "w4"])
        }
    }

    @Test func `Errors of all members are attached`() async throws {
        try await withWorkers(3) { _, group in
            _ = try await group.receiveEach()
            try await group[0].end.send(1)
            for index in 1...2 { try await group[index].end.send(-1) }
            let error = try await #require(throws: ChannelGroupError<String>.self) {
                try await group.waitClose(timeout: .seconds(10))
            }
            #expect(error.failures.map(\.member) == ["w2", "w3"])
            #expect("\(error)".contains("worker 3"))
        }
    }

    @Test func `Members that are killed end with an error, and the others go on`() async throws {
        try await withWorkers(3) { contexts, group in
            _ = try await group.receiveEach()
            kill(contexts[1].processID, SIGKILL)
            try await group[0].end.send(5)
            try await group[2].end.send(5)
            var ends: [String: Bool] = [:]
            for try await event in group.events {
                if case .ended(let member, let error) = event { ends[member] = error != nil }
            }
            #expect(ends == ["w1": false, "w2": true, "w3": false])
        }
    }

    @Test func `A wait for any member times out and goes on`() async throws {
        try await withWorkers(3) { _, group in
            _ = try await group.receiveEach()
            var events = group.events.makeAsyncIterator()
            try await expectError(.deadlineExceeded) { try await events.next(timeout: .milliseconds(20)) }
            try await group.sendEach(1)
            var items: [Int] = []
            while let event = try await events.next(timeout: .seconds(10)) {
                if case .item(_, let item) = event { items.append(item) }
            }
            #expect(items.sorted() == [1, 2, 3])
        }
    }

    @Test func `Workers take jobs as they can`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            var ends: [(Int, Channel<Int>)] = []
            var tasks: [Task<Void, any Error>] = []
            for number in 0..<4 {
                let context = try await martlet.connect(.local)
                let (here, there) = martlet.makeChannel(of: Int.self)
                ends.append((number, here))
                tasks.append(Task { try await context.call(Serve(jobs: there)) })
            }
            let group = ChannelGroup(ends)
            var jobs = Array(0..<40)
            var results: [Int] = []
            for element in group { try await element.end.send(jobs.removeFirst()) }
            for try await event in group.events {
                guard case .item(let member, let result) = event else { continue }
                results.append(result)
                let end = try #require(group[member: member])
                if jobs.isEmpty { end.finish() } else { try await end.send(jobs.removeFirst()) }
            }
            #expect(results.sorted() == (0..<40).map { $0 * $0 })
            for task in tasks { try await task.value }
        }
    }

    @Test func `Large byte strings of many members come whole`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            var ends: [(Int, Channel<[UInt8]>)] = []
            var tasks: [Task<Void, any Error>] = []
            for number in 0..<3 {
                let context = try await martlet.connect(.local)
                let (here, there) = martlet.makeChannel(of: [UInt8].self)
                ends.append((number, here))
                tasks.append(Task { try await context.call(SendBytes(to: there, size: 700_000, count: 20)) })
            }
            let group = ChannelGroup(ends)
            // Looking gathers, too.
            #expect(try await firstReady(ends[0].1, ends[1].1, ends[2].1, timeout: .seconds(10)) != nil)
            var sums = [0, 0, 0]
            for try await event in group.events {
                guard case .item(let member, let bytes) = event else { continue }
                #expect(bytes.count == 700_000 && bytes.first == UInt8(sums[member]) && bytes.last == bytes.first)
                sums[member] += 1
            }
            #expect(sums == [20, 20, 20])
            for task in tasks { try await task.value }
        }
    }

    @Test func `The first of several ends that is ready is found, whatever they carry`() async throws {
        try await withMartlet { martlet in
            let (a, farA) = martlet.makeChannel(of: Int.self)
            let (b, farB) = martlet.makeChannel(of: String.self)
            #expect(try await firstReady(a, b, timeout: .milliseconds(10)) == nil)
            try await farB.send("x")
            #expect(try await firstReady(a, b) == 1)
            #expect(try await firstReady(a, b) == 1)
            #expect(try await b.receive() == "x")
            async let place = firstReady(a, b, timeout: .seconds(10))
            try await farA.send(1)
            #expect(try await place == 0)
            farB.close()
            #expect(try await a.receive() == 1)
            #expect(try await firstReady(a, b) == 1)
        }
    }
}
