import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// What the main actor guards in a context.
@MainActor enum MainNotes {
    static var numbers: [Int] = []
    static func add(_ number: Int) -> Int {
        numbers.append(number)
        return numbers.count
    }

    static func addInSteps() async {
        let count = numbers.count
        sched_yield()
        numbers.append(0)
        precondition(numbers.count == count + 1)
        await Task.yield()
    }
}

/// Counts on the main actor, in each of the ways to get there.
struct CountOnMain: RemoteTask {
    func run(in context: RemoteContext) async throws -> [Int] {
        let first = await MainActor.run { MainNotes.add(1) }
        let second = await MainNotes.add(2)
        let third = await Task { @MainActor in
            MainActor.assertIsolated()
            await Task.yield()
            return addAssuming()
        }.value
        return [first, second, third]
    }
}

/// What a callback does that knows better than the compiler where it is.
private nonisolated func addAssuming() -> Int { MainActor.assumeIsolated { MainNotes.add(3) } }

/// Has many tasks add to one number on the main actor, each in steps that another could come between.
struct CountTogether: RemoteTask {
    var tasks: Int
    var rounds: Int
    func run(in context: RemoteContext) async throws -> Int {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<tasks {
                group.addTask { for _ in 0..<rounds { await MainNotes.addInSteps() } }
            }
        }
        return await MainNotes.numbers.count
    }
}

/// Has jobs come to the main actor in a known order, while one holds it.
struct QueueOnMain: RemoteTask {
    func run(in context: RemoteContext) async throws -> [Int] {
        let tasks = await MainActor.run {
            (0..<100).map { number in Task { @MainActor in _ = MainNotes.add(number) } }
        }
        for task in tasks { await task.value }
        return await MainNotes.numbers
    }
}

/// Holds the main actor until a file is there.
struct BlockMain: RemoteTask {
    var started: String
    var release: String
    func run(in context: RemoteContext) async throws {
        await MainActor.run {
            Signpost.leave(started)
            Signpost.block(until: release)
        }
    }
}

@Suite(.leakChecked) struct MainActorTests {
    @Test func `A task may use the main actor in each of the ways there are`() async throws {
        try await withLocalContext { _, context in
            let result = try await context.call(CountOnMain(), deadline: .seconds(10))
            #expect(result == [1, 2, 3])
            let more = try await context.call(CountOnMain(), deadline: .seconds(10))
            #expect(more == [4, 5, 6])
        }
    }

    @Test func `The main actor runs one job at a time, in order`() async throws {
        try await withLocalContext { _, context in
            let result = try await context.call(QueueOnMain(), deadline: .seconds(10))
            #expect(result == Array(0..<100))
        }
        try await withLocalContext { _, context in
            let count = try await context.call(CountTogether(tasks: 20, rounds: 50), deadline: .seconds(30))
            #expect(count == 1000)
        }
    }

    @Test func `Code that holds the main actor holds up nothing else`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                async let block: Void = context.call(
                    BlockMain(started: folder.file("started"), release: folder.file("release")))
                await eventually { folder.has("started") }
                let waiting = Task { try await context.call(CountOnMain()) }
                for number in 0..<100 {
                    let sum = try await context.call(Add(a: number, b: 1), deadline: .seconds(5))
                    #expect(sum == number + 1)
                }
                #expect(try await context.ping(deadline: .seconds(5)) < .seconds(2))
                #expect(try await context.status().running == 2)
                folder.touch("release")
                try await block
                let counts = try await waiting.value
                #expect(counts == [1, 2, 3])
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `The main actor works behind ssh too`() async throws {
        try await withSSHContext { context in
            let result = try await context.call(CountOnMain(), deadline: .seconds(10))
            #expect(result == [1, 2, 3])
        }
    }
}
