import Martlet
import MartletTestKit
import Synchronization
import Testing

@testable import MartletOperations

private enum Item: SettingKey { typealias Value = Int }

@Suite struct ExecuteTests {
    @Test func `One after the other: once, thrice, over parameters, in order`() async throws {
        #expect(try await execute(times: 1) { "foo" } == ["foo"])
        #expect(try await execute(times: 3) { "foo" } == ["foo", "foo", "foo"])
        #expect(try await execute(times: 0) { "foo" } == [])
        let order = Box<[Int]>([])
        let results = try await execute(over: [3, 1, 2]) { number in
            order.change { $0.append(number) }
            return number * 10
        }
        #expect(results == [30, 10, 20])
        #expect(order.value == [3, 1, 2])
        #expect(try await execute(over: [Int]()) { $0 } == [])
    }

    @Test func `One after the other, the first error ends it and comes as it is`() async throws {
        let begun = Box<[Int]>([])
        let error = await #expect(throws: PlainFailure.self) {
            try await execute(over: [1, 2, 3]) { number in
                begun.change { $0.append(number) }
                if number == 2 { throw PlainFailure() }
            }
        }
        #expect(error == PlainFailure())
        #expect(begun.value == [1, 2])
    }

    @Test func `At once: order is kept however long each takes`() async throws {
        let results = try await execute(.parallel, over: Array(0..<50)) { number in
            for _ in 0..<(50 - number) { await Task.yield() }
            return number
        }
        #expect(results == Array(0..<50))
        #expect(try await execute(.parallel, times: 3) { Settings.current.isParallel } == [true, true, true])
        #expect(!Settings.current.isParallel)
    }

    @Test func `Never more at once than allowed, and as many as allowed`() async throws {
        let running = Box((now: 0, most: 0))
        _ = try await execute(.parallel(atMost: 4), over: Array(0..<20)) { _ in
            running.change {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
            // All four of the first lot meet here.
            await eventually { running.value.most == 4 }
            running.change { $0.now -= 1 }
        }
        #expect(running.value.most == 4)
        #expect(running.value.now == 0)
        #expect(try await execute(.parallel(atMost: -1), times: 2) { 1 } == [1, 1])
        #expect(try await execute(.parallel(atMost: .max), times: 2) { 1 } == [1, 1])
    }

    @Test func `At once: all end, and the error tells each that failed`() async throws {
        let ended = Box<[Int]>([])
        let error = try await #require(throws: ExecutionError.self) {
            try await execute(.parallel, over: [1, 2, 3, 4]) { number in
                if number % 2 == 0 { throw PlainFailure(text: "no \(number)") }
                await Task.yield()
                ended.change { $0.append(number) }
                return number
            }
        }
        #expect(ended.value.sorted() == [1, 3])
        #expect(error.count == 4)
        #expect(error.failures.map(\.index) == [1, 3])
        #expect(error.failures.map { $0.error as? PlainFailure } == [.init(text: "no 2"), .init(text: "no 4")])
        #expect(try error.outcomes[2].get() as? Int == 3)
        #expect("\(error)".hasPrefix("2 of 4 failed\n2: "))
    }

    @Test func `Errors may be values`() async throws {
        for mode in [ExecutionMode.serial, .parallel] {
            let results = try await collect(mode, over: [1, 2, 3]) { number in
                if number == 2 { throw PlainFailure() }
                return number
            }
            #expect(results.map { try? $0.get() } == [1, nil, 3])
            #expect(throws: PlainFailure.self) { try results[1].get() }
        }
    }

    @Test func `Each of twelve hosts has its own result, and one that is named twice has two`() async throws {
        let hosts: [OperationHost] =
            (1...12).map { number in .mock(MockHost("h\(number)") { $0.on("hostname", .output("h\(number)\n")) }) }
        for mode in [ExecutionMode.serial, .parallel, .parallel(atMost: 3)] {
            let results = try await hide {
                try await execute(mode, on: hosts + [hosts[0]]) { try await remote("hostname").lines[0] }
            }
            #expect(results.values == (1...12).map { "h\($0)" } + ["h1"])
            #expect(results.map(\.host.name) == (1...12).map { "h\($0)" } + ["h1"])
            #expect(results["h10"] == "h10" && results["h2"] == "h2" && results["h13"] == nil)
        }
    }

    @Test func `Hosts come from the settings too, and their errors have their names`() async throws {
        let hosts: [OperationHost] = [
            .mock(MockHost("good") { $0.onAnything(.exit(0)) }), .mock(MockHost("bad") { $0.onAnything(.exit(1)) }),
        ]
        try await withSettings(.hosts(hosts), .quiet) {
            let results = try await collect(.parallel) { try await remote("true").host }
            #expect(results.succeeded().map(\.value) == ["good"])
            #expect(results.failed().map(\.host.name) == ["bad"])
            let error = try await #require(throws: ExecutionError.self) {
                _ = try await execute(.parallel) { try await remote("true") }
            }
            #expect(error.failures.map(\.label) == ["bad"])
            #expect((error.failures[0].error as? OperationError)?.result?.exitCode == 1)
        }
        let none = try await operationError(.noHost) { try await execute { 1 } as HostResults<Int> }
        #expect(none.advice != nil)
        _ = try await operationError(.noHost) { try await collect(on: []) { 1 } }
    }

    @Test func `What runs at once has settings of its own, and nobody is asked there`() async throws {
        let seen = try await withSettings(.set(Item.self, to: 0)) {
            try await execute(.parallel, over: Array(1...8)) { number in
                try await withSettings(.set(Item.self, to: (Settings.current[Item.self] ?? 99) + number)) {
                    await Task.yield()
                    _ = try await operationError(.promptAborted) { try await prompt("Really?") }
                    return Settings.current[Item.self] ?? 0
                }
            }
        }
        #expect(seen == Array(1...8))
    }

    @Test func `One that is cancelled, or throws anything, holds nobody up`() async throws {
        let results = try await collect(.parallel, over: [0, 1, 2]) { number in
            if number == 0 {
                withUnsafeCurrentTask { $0?.cancel() }
                try await Task.sleep(for: .seconds(1000))
            }
            if number == 1 { throw CancellationError() }
            return number
        }
        #expect(results.map { try? $0.get() } == [nil, nil, 2])
    }

    @Test func `To cancel all of it ends what runs, and begins nothing more`() async throws {
        let begun = Box(0)
        let task = Task {
            try await execute(.parallel(atMost: 2), over: Array(0..<100)) { _ in
                begun.change { $0 += 1 }
                try await Task.sleep(for: .seconds(1000))
            }
        }
        await eventually { begun.value == 2 }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(begun.value == 2)
    }

    @Test func `Serial and parallel in each other do not interfere`() async throws {
        let mock = OperationHost.mock(MockHost { $0.on(prefix: "echo ", "ok\n") })
        let all = try await withSettings(.host(mock), .quiet) {
            try await execute(.parallel, over: [1, 2]) { outer in
                let before = try await remote("echo a").lines
                let inner = try await execute(outer == 1 ? .serial : .parallel, over: [1, 2, 3]) { number in
                    _ = try await remote("echo b")
                    return try await execute(.parallel, times: 2) { outer * 10 + number }
                }
                let after = try await execute(times: 1) { try await remote("echo c").lines }
                return (before + after.flatMap { $0 }, inner)
            }
        }
        #expect(all.map(\.0) == [["ok", "ok"], ["ok", "ok"]])
        #expect(all.map(\.1) == [[[11, 11], [12, 12], [13, 13]], [[21, 21], [22, 22], [23, 23]]])
    }
}
