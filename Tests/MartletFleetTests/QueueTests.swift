import Martlet
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletFleet

@Suite(.leakChecked) struct QueueTests {
    @Test func `Each member does one thing after the other, and waits for nobody`() async throws {
        try await TestFolder.with { folder in
            try await withGroup(["local", "local"]) { group in
                let mark = folder.file("mark")
                try await group.withQueue { queue in
                    // The first member's first is over when the second has done its second: with a barrier, never.
                    let first = queue.call(Meet(wait: mark), on: [group[0]])
                    queue.call(Nothing(), on: [group[1]])
                    queue.call(Meet(leave: mark), on: [group[1]])
                    let met = try await first.results().get()
                    #expect(met == [true])
                }
                let order = Mutex<[String]>([])
                try await group.withQueue { queue in
                    for number in 1...3 {
                        queue.each { _, member in order.withLock { $0.append("\(member) \(number)") } }
                    }
                }
                let lines = order.withLock { $0 }
                for name in ["local", "local#2"] {
                    #expect(lines.filter { $0.hasPrefix("\(name) ") } == ["\(name) 1", "\(name) 2", "\(name) 3"])
                }
            }
        }
    }

    @Test func `Files go through the queue, and results may add to it`() async throws {
        try await TestFolder.with { folder in
            for number in 1...3 { try folder.writeProgram("file\(number)", "echo \(number)") }
            try await withGroup(["local", "local", "local"]) { group in
                let seen = Mutex<[String]>([])
                let all = try await group.withQueue { queue in
                    for number in 1...3 {
                        queue.put(folder.file("file\(number)"), to: folder.file("put-\(number)-{host}")) {
                            queue, result in
                            guard number == 3 else { return }
                            queue.run(folder.file("put-3-\(result.member)"), on: [result.member]) { _, result in
                                seen.withLock { $0.append("\(result.member) \(result.value?.lines ?? [])") }
                            }
                        }
                    }
                    let back = try queue.get(folder.file("put-2-{host}"), to: folder.file("back-{host}"))
                    #expect(throws: MartletError.self) { try queue.get("/etc/passwd", to: folder.file("same")) }
                    return back
                }
                #expect(all.isDone && all.soFar.count == 3)
                #expect(await all.results().allSucceeded)
                #expect(folder.count("put-") == 9 && folder.count("back-") == 3 && !folder.has("same"))
                #expect(
                    seen.withLock { $0 }.sorted() == ["local [\"3\"]", "local#2 [\"3\"]", "local#3 [\"3\"]"])
            }
        }
    }

    @Test func `What fails harms neither the next nor the others`() async throws {
        try await withGroup(["local", "local?dir=/nowhere"]) { group in
            try await group.withQueue { queue in
                let bad = queue.call(Behave(kind: .fail))
                let died = queue.call(Behave(kind: .die))
                let good = queue.call(Add(a: 2, b: 2))
                #expect(await bad.results().map(\.outcome.kind) == [.failed, .unreachable])
                #expect(await died.results().map(\.outcome.kind) == [.unreachable, .unreachable])
                #expect(await good.results().map(\.value) == [4, nil])
            }
        }
    }

    @Test func `A body that throws ends what is under way`() async throws {
        try await withGroup(["local"]) { group in
            await #expect(throws: PlainError.self) {
                try await group.withQueue { queue in
                    queue.call(Behave(kind: .last))
                    throw PlainError(text: "enough")
                }
            }
            let five = try await group.withQueue { _ in 5 }
            #expect(five == 5)
        }
    }
}
