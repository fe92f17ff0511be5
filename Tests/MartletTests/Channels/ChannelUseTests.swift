import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// A function of one number, looped.
struct Multiply: RemoteTask {
    var channel: Channel<Int>
    var factor = 10
    func run(in context: RemoteContext) async throws {
        for try await number in channel { try await channel.send(number * factor) }
    }
}

/// Does what it is told by name.
struct CommandLoop: RemoteTask {
    struct Order: Codable, Sendable {
        var name: String
        var argument: String
    }

    var channel: ChannelEnd<[String], Order>
    func run(in context: RemoteContext) async throws {
        for try await order in channel {
            switch order.name {
            case "simple": try await channel.send(["\((Int(order.argument) ?? 0) + 1)"])
            case "list":
                try await channel.send(try FileManager.default.contentsOfDirectory(atPath: order.argument).sorted())
            default: throw BadNews(text: "no \(order.name)")
            }
        }
    }
}

/// Sends blocks over one channel and waits after each hundred for a word over another.
struct SendInBlocks: RemoteTask {
    var blocks: Channel<Int>
    var acknowledgements: Channel<Int>
    var count: Int
    func run(in context: RemoteContext) async throws {
        for number in 1...count {
            try await blocks.send(number)
            if number % 100 == 0 { guard try await acknowledgements.receive() == number else { return } }
        }
        blocks.finish()
    }
}

/// Closes with an error that is larger than a frame.
struct FailLoudly: RemoteTask {
    var end: Channel<Int>
    func run(in context: RemoteContext) async throws {
        end.close(throwing: BadNews(text: String(repeating: "loud ", count: 40_000)))
    }
}

/// Sends the lines that a file gets, from its beginning, until nobody takes them. A file that shrinks begins anew.
struct TailFile: RemoteTask {
    var path: String
    var to: Channel<String>
    func run(in context: RemoteContext) async throws -> Int {
        var offset: UInt64 = 0
        var looks = 0
        var rest = ""
        while to.isOpen {
            looks += 1
            if let file = FileHandle(forReadingAtPath: path) {
                defer { try? file.close() }
                if try file.seekToEnd() < offset { (offset, rest) = (0, "") }
                try file.seek(toOffset: offset)
                let bytes = try file.readToEnd() ?? Data()
                offset += UInt64(bytes.count)
                var lines = (rest + String(decoding: bytes, as: UTF8.self)).split(
                    separator: "\n", omittingEmptySubsequences: false)
                rest = String(lines.removeLast())
                do { for line in lines { try await to.send(String(line)) } } catch { break }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return looks
    }
}

/// What people do with channels.
@Suite(.leakChecked) struct ChannelUseTests {
    @Test(arguments: Way.available)
    func `A function far away answers each of five values`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Multiply(channel: there))
            for number in 1...5 {
                try await here.send(number)
                #expect(try await here.receive(timeout: .seconds(10)) == number * 10)
            }
            here.finish()
            try await task
        }
    }

    @Test(arguments: Way.available)
    func `A loop far away does what it is told`(way: Way) async throws {
        try await TestFolder.with { folder in
            for name in ["b", "a"] { folder.touch(name) }
            try await withContext(way) { context in
                let (here, there) = context.makeChannel(sending: CommandLoop.Order.self, receiving: [String].self)
                async let task: Void = context.call(CommandLoop(channel: there))
                try await here.send(.init(name: "simple", argument: "10"))
                #expect(try await here.receive(timeout: .seconds(10)) == ["11"])
                try await here.send(.init(name: "list", argument: folder.path))
                #expect(try await here.receive(timeout: .seconds(10)) == ["a", "b"])
                here.finish()
                try await task
            }
        }
    }

    @Test(arguments: Way.available)
    func `Bulk goes over one channel, acknowledgements over another`(way: Way) async throws {
        try await withContext(way) { context in
            let (blocks, farBlocks) = context.makeChannel(of: Int.self)
            let (words, farWords) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(
                SendInBlocks(blocks: farBlocks, acknowledgements: farWords, count: 1_000))
            var sum = 0
            for try await number in blocks {
                sum += number
                if number % 100 == 0 { try await words.send(number) }
            }
            try await task
            #expect(sum == 500_500)
        }
    }

    @Test(arguments: Way.available)
    func `A wait for the end times out, and the channel is as before`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            async let task: Void = context.call(Increment(channel: there))
            try await expectError(.deadlineExceeded) { try await here.waitClose(timeout: .milliseconds(20)) }
            try await here.send(1)
            #expect(try await here.receive(timeout: .seconds(10)) == 2)
            here.finish()
            try await here.waitClose(timeout: .seconds(10))
            try await task
        }
    }

    @Test func `An item that does not encode is an error here, and the channel is as before`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(sending: EndAndTrouble.Trouble.self, receiving: Int.self)
            try await expectError(.valueUnusable) { try await here.send(.init()) }
            #expect(here.isOpen)
            try await there.send(3)
            #expect(try await here.receive(timeout: .seconds(10)) == 3)
        }
    }

    @Test(arguments: Way.available)
    func `An error of any size arrives as one`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            try await context.call(FailLoudly(end: there))
            let error = try await expectError(.taskFailed) { try await here.receive(timeout: .seconds(10)) }
            #expect(error.remoteType == "BadNews" && error.message.contains("loud loud"))
            #expect(error.message.utf8.count < 20_000)
        }
    }

    @Test(arguments: Way.available)
    func `The status counts the tasks and channels that are busy`(way: Way) async throws {
        try await withContext(way) { context in
            let pairs = (0..<2).map { _ in context.makeChannel(of: Int.self) }
            let tasks = pairs.map { pair in Task { try await context.call(Increment(channel: pair.1)) } }
            for (here, _) in pairs {
                try await here.send(1)
                #expect(try await here.receive(timeout: .seconds(10)) == 2)
            }
            let busy = try await context.status()
            #expect(busy.running == 2 && busy.openChannels == 2)
            for (here, _) in pairs { here.close() }
            for task in tasks { try await task.value }
            await eventually("nothing runs") {
                let status = try await context.status()
                return status.running == 0 && status.openChannels == 0
            }
        }
    }

    @Test(arguments: Way.available)
    func `Closing says nothing on anybody's standard error, and leaves no process`(way: Way) async throws {
        let log = OutputLog()
        let before = ProcessTable.descendants().count
        try await withContext(way, log.options) { context in
            let (here, there) = context.makeChannel(of: Int.self)
            let task = Task { try await context.call(Increment(channel: there)) }
            try await here.send(1)
            #expect(try await here.receive(timeout: .seconds(10)) == 2)
            // The far task waits for an item when its context ends.
            await context.close()
            await #expect(throws: (any Error).self) { try await task.value }
            #expect(
                try await { () async throws -> Bool in
                    do { return try await here.receive(timeout: .seconds(10)) == nil } catch is MartletError {
                        return true
                    }
                }())
        }
        await eventually("no process is left") { ProcessTable.descendants().count <= before }
        #expect(log.texts(.error) == [])
    }

    @Test(arguments: Way.available)
    func `A log file is followed through its rotation, until nobody listens`(way: Way) async throws {
        try await TestFolder.with { folder in
            let path = folder.file("log")
            @Sendable func write(_ text: String) throws {
                let file = try #require(FileHandle(forWritingAtPath: path))
                try file.seekToEnd()
                try file.write(contentsOf: Data(text.utf8))
                try file.close()
            }
            try Data("one\ntwo\nthr".utf8).write(to: URL(fileURLWithPath: path))
            try await withContext(way) { context in
                let (lines, sender) = context.makeChannel(of: String.self)
                async let looks = context.call(TailFile(path: path, to: sender))
                func next() async throws -> String? { try await lines.receive(timeout: .seconds(10)) }
                #expect(try await next() == "one")
                #expect(try await next() == "two")
                try write("ee\n")
                #expect(try await next() == "three")
                // Rotated: it is shorter than before.
                try Data("new\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
                #expect(try await next() == "new")
                lines.close()
                #expect(try await looks > 0)
            }
        }
    }
}
