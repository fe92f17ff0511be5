import Glibc
import MartletLink
import MartletTestKit
import MartletTestSupport
import MartletWire
import Testing

@testable import Martlet

@Suite(.leakChecked) struct ChannelTests {
    @Test(arguments: Way.available)
    func `An item goes there and its answer comes back`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Increment(channel: there))
            for number in [1, -5, .max - 1] {
                try await here.send(number)
                #expect(try await here.receive(timeout: .seconds(10)) == number + 1)
            }
            here.finish()
            #expect(try await here.receive(timeout: .seconds(10)) == nil)
            try await task
        }
    }

    @Test(arguments: Way.available)
    func `Items come in order, once, and then the end, every time`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Count(to: there, limit: 20_000))
            var numbers: [Int] = []
            for try await number in here { numbers.append(number) }
            #expect(numbers == Array(0..<20_000))
            for _ in 0..<3 { #expect(try await here.receive() == nil) }
            try await task
        }
    }

    @Test(arguments: Way.available)
    func `An error comes behind the items, once, and then the end`(way: Way) async throws {
        try await withContext(way) { context in
            for items in [[], [7], [1, 2, 3]] {
                let (here, there) = context.makeChannel(of: Int.self)
                try await context.call(SendAndFail(to: there, items: items))
                for item in items { #expect(try await here.receive(timeout: .seconds(10)) == item) }
                let error = try await expectError(.taskFailed) { try await here.receive(timeout: .seconds(10)) }
                #expect(error.message.contains("no more"))
                #expect(error.remoteType == "BadNews" && error.route == context.route)
                for _ in 0..<2 { #expect(try await here.receive() == nil) }
                // Who closes with an error does not read any more either.
                try await expectError(.taskFailed) { try await here.send(1) }
            }
        }
    }

    @Test(arguments: Way.available)
    func `After a timeout the channel is as before`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Increment(channel: there))
            try await expectError(.deadlineExceeded) { try await here.receive(timeout: .milliseconds(30)) }
            try await here.send(1)
            #expect(try await here.receive(timeout: .seconds(10)) == 2)
            here.close()
            try await task
        }
    }

    @Test(arguments: Way.available)
    func `Closing the near end stops the far loop`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let end = context.call(SendUntilClosed(to: there))
            #expect(try await here.receive(timeout: .seconds(10)) == 0)
            here.close()
            #expect(try await end == "channelClosed")
            #expect(!here.isOpen)
            try await expectError(.channelClosed) { try await here.send(1) }
            #expect(try await here.receive() == nil)
        }
    }

    @Test(arguments: Way.available)
    func `A task that waits is woken when the other end is dropped`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let item = here.receive(timeout: .seconds(10))
            try await context.call(DropEnd(end: there))
            #expect(try await item == nil)
            try await here.waitClose(timeout: .seconds(10))
            try await expectError(.channelClosed) { try await here.send(1) }
        }
    }

    @Test(arguments: Way.available)
    func `Channels go over channels, in structures`(way: Way) async throws {
        try await withContext(way) { context in
            let (control, far) = context.makeChannel(of: GreetOver.Pair.self)
            async let task: Void = context.call(GreetOver(channels: far))
            let (first, farFirst) = context.makeChannel(of: String.self)
            let (a, farA) = context.makeChannel(of: String.self)
            let (b, farB) = context.makeChannel(of: String.self)
            try await control.send(.init(first: farFirst, others: ["a": farA, "b": farB]))
            #expect(try await first.receive(timeout: .seconds(10)) == "hello")
            #expect(try await a.receive(timeout: .seconds(10)) == "world a")
            #expect(try await b.receive(timeout: .seconds(10)) == "world b")
            try await task
            #expect(try await first.receive(timeout: .seconds(10)) == nil)
        }
    }

    @Test(arguments: Way.available)
    func `An end that comes back is the same end, and still joined to the other`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: String.self)
            try await here.send("before")
            let back = try await context.call(SendBack(end: there))
            #expect(back == there)
            #expect(back != here)
            #expect(Set([there, back]).count == 1)
            try await here.send("after")
            #expect(try await back.receive(timeout: .seconds(10)) == "before")
            #expect(try await back.receive(timeout: .seconds(10)) == "after")
            try await back.send("up")
            #expect(try await here.receive(timeout: .seconds(10)) == "up")
            back.close()
            #expect(try await here.receive(timeout: .seconds(10)) == nil)
        }
    }

    @Test(arguments: Way.available)
    func `A channel that was made there works from here`(way: Way) async throws {
        try await withContext(way) { context in
            let end = try await context.call(MakeThere())
            try await end.send("four")
            #expect(try await end.receive(timeout: .seconds(10)) == 4)
            end.close()
            await eventually("every stream is over") { context.node.openStreams == 0 }
        }
    }

    @Test func `An end that was passed on cannot be used here any more`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Increment(channel: there))
            try await here.send(1)
            #expect(try await here.receive() == 2)
            try await expectError(.misuse) { try await there.send(1) }
            try await expectError(.misuse) { try await there.receive() }
            try await expectError(.misuse) { try await context.call(DropEnd(end: there)) }
            here.finish()
            try await task
        }
    }

    @Test func `A call that cannot be sent leaves its channels here`() async throws {
        struct NotRemote: RemoteTask {
            var end: Channel<Int>
            func run(in context: RemoteContext) async throws {}
        }
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            try await expectError(.taskNotRemote) { try await context.call(NotRemote(end: there)) }
            try await expectError(.valueUnusable) {
                try await context.call(EndAndTrouble(end: there, trouble: .init()))
            }
            try await there.send(3)
            #expect(try await here.receive() == 3)
        }
    }

    @Test func `Both ends may be here`() async throws {
        try await withMartlet { martlet in
            let (a, b) = martlet.makeChannel(sending: String.self, receiving: Int.self)
            async let sent: Void = {
                for number in 0..<50_000 { try await b.send(number) }
                b.finish()
            }()
            var sum = 0
            for try await number in a { sum += number }
            try await sent
            #expect(sum == 50_000 * 49_999 / 2)
            try await a.send("x")
            #expect(try await b.receive() == "x")
            a.close(throwing: BadNews(text: "enough"))
            try await expectError(.taskFailed) { try await b.receive() }
        }
    }

    @Test(arguments: [Way.local, .relay])
    func `When the context that holds the other end is lost, both sides of the channel learn it`(way: Way) async throws
    {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            let task = Task { try await context.call(Increment(channel: there)) }
            try await here.send(1)
            #expect(try await here.receive(timeout: .seconds(10)) == 2)
            let item = Task { try await here.receive(timeout: .seconds(20)) }
            kill(context.processID, SIGKILL)
            try await expectError(.contextLost) { try await item.value }
            #expect(try await here.receive() == nil)
            try await expectError(.contextLost) { try await here.send(1) }
            await #expect(throws: MartletError.self) { try await task.value }
        }
    }

    @Test(arguments: Way.available)
    func `Large items come whole`(way: Way) async throws {
        try await withContext(way) { context in
            let (from, farFrom) = context.makeChannel(of: [UInt8].self)
            let (to, farTo) = context.makeChannel(of: [UInt8].self)
            async let task: Void = context.call(Relay(from: farFrom, to: farTo))
            let sizes = [0, 1, 65_270, 65_276, 65_280, 65_281, 300_000, 5_000_000, 3]
            async let sent: Void = {
                for (index, size) in sizes.enumerated() {
                    try await from.send([UInt8](repeating: UInt8(index), count: size))
                }
                from.finish()
            }()
            var received: [[UInt8]] = []
            for try await item in to { received.append(item) }
            try await sent
            try await task
            #expect(received.map(\.count) == sizes)
            #expect(received.enumerated().allSatisfy { index, item in item.allSatisfy { $0 == UInt8(index) } })
        }
    }

    @Test func `An item that is too large is refused, and the channel stays`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: [UInt8].self)
            async let count = context.call(HoldUnread(end: there, milliseconds: 0))
            try await expectError(.limitExceeded) {
                try await here.send([UInt8](repeating: 0, count: MessageAssembly.limit + 1))
            }
            try await here.send([1, 2, 3])
            here.finish()
            #expect(try await count == 3)
        }
    }

    @Test func `Ends between siblings are joined through their parent`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let first = try await martlet.connect(.local)
            let second = try await martlet.connect(.local)
            let (a, b) = martlet.makeChannel(of: [UInt8].self)
            async let sent: Void = first.call(SendBytes(to: a, size: 1000, count: 3000))
            async let count = second.call(HoldUnread(end: b, milliseconds: 0))
            try await sent
            #expect(try await count == 3_000_000)
            await eventually("every stream is over") { first.node.openStreams == 0 }
        }
    }

    @Test func `A reader that is cancelled stops, and another goes on`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Increment(channel: there))
            let reader = Task { try await here.receive() }
            reader.cancel()
            await #expect(throws: CancellationError.self) { try await reader.value }
            try await here.send(8)
            #expect(try await here.receive(timeout: .seconds(10)) == 9)
            here.close()
            try await task
        }
    }

    @Test func `Who waits for the end, or only looks, takes no reader's turn`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            let task = Task { try await context.call(Increment(channel: there)) }
            let closed = Task { try await here.waitClose(timeout: .seconds(20)) }
            let looks = Task { try await firstReady(here, timeout: .seconds(20)) }
            // Both wait before the reader does.
            _ = try await context.ping()
            for number in 0..<50 {
                async let item = here.receive(timeout: .seconds(10))
                try await here.send(number)
                #expect(try await item == number + 1)
            }
            #expect(try await looks.value == 0)
            await context.close()
            // However it ended, it ended.
            _ = await closed.result
            _ = await task.result
        }
    }

    @Test func `Many readers of one end get each item once`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Count(to: there, limit: 10_000))
            let numbers = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var mine: [Int] = []
                        for try await number in here { mine.append(number) }
                        return mine
                    }
                }
                return try await group.reduce(into: [Int]()) { $0 += $1 }
            }
            try await task
            #expect(numbers.sorted() == Array(0..<10_000))
        }
    }
}

/// Its second part does not encode, when the first has been passed on already.
struct EndAndTrouble: RemoteTask {
    struct Trouble: Codable, Sendable {
        func encode(to encoder: any Encoder) throws {
            throw EncodingError.invalidValue(self, .init(codingPath: [], debugDescription: "trouble"))
        }
        init() {}
        init(from decoder: any Decoder) throws {}
    }

    var end: Channel<Int>
    var trouble: Trouble
    func run(in context: RemoteContext) async throws {}
}
