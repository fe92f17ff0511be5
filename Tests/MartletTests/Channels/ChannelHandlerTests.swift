import Glibc
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet

@Suite(.leakChecked) struct ChannelHandlerTests {
    @Test(arguments: Way.available)
    func `A handler gets each item, and then the end`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            let seen = Locked<[Int]>([])
            let ended = Locked<[String]>([])
            try here.onReceive { item in
                seen.withLock { $0.append(item) }
            } onEnd: { error in
                ended.withLock { $0.append(error.map { "\($0)" } ?? "done") }
            }
            try await expectError(.misuse) { try await here.receive() }
            try await context.call(Count(to: there, limit: 100))
            try await here.waitClose(timeout: .seconds(10))
            #expect(seen.withLock { $0 } == Array(0..<100))
            #expect(ended.withLock { $0 } == ["done"])
        }
    }

    @Test func `What came before the handler goes to it too, and the end waits for a slow one`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            try await context.call(Count(to: there, limit: 5))
            let seen = Locked<[Int]>([])
            try here.onReceive { item in
                try await Task.sleep(for: .milliseconds(10))
                seen.withLock { $0.append(item) }
            }
            #expect(throws: MartletError.self) { try here.onReceive { _ in } }
            try await here.waitClose(timeout: .seconds(10))
            #expect(seen.withLock { $0 } == [0, 1, 2, 3, 4])
        }
    }

    @Test func `A handler lives on when its end is dropped`() async throws {
        try await withLocalContext { _, context in
            let seen = Locked<[Int]>([])
            let task = try await { () async throws -> Task<Void, any Error> in
                let (here, there) = context.makeChannel(of: Int.self)
                try here.onReceive { item in seen.withLock { $0.append(item) } }
                return Task { try await context.call(Count(to: there, limit: 3)) }
            }()
            try await task.value
            await eventually { seen.withLock { $0 } == [0, 1, 2] }
        }
    }

    @Test func `A handler that throws closes the channel, and the sender learns why`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            let ended = Locked<[String]>([])
            try here.onReceive { _ in
                throw BadNews(text: "cannot take it")
            } onEnd: { error in
                ended.withLock { $0.append("\(error!)") }
            }
            #expect(try await context.call(SendUntilClosed(to: there)) == "taskFailed")
            await eventually { ended.withLock { $0.count } == 1 }
            #expect(ended.withLock { $0[0] }.contains("cannot take it"))
        }
    }

    @Test func `A handler learns that the context was killed`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            let ended = Locked<[String]>([])
            try here.onReceive({ _ in }, onEnd: { error in ended.withLock { $0.append("\(error!)") } })
            let task = Task { try await context.call(Increment(channel: there)) }
            _ = try await context.ping()
            kill(context.processID, SIGKILL)
            await eventually { ended.withLock { $0.count } == 1 }
            _ = await task.result
        }
    }
}
