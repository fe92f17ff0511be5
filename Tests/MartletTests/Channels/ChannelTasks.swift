import Martlet
import MartletWire

/// Sends back each number plus one, until the channel ends.
struct Increment: RemoteTask {
    var channel: Channel<Int>
    func run(in context: RemoteContext) async throws {
        for try await number in channel { try await channel.send(number + 1) }
    }
}

/// Sends 0, 1, 2 … and ends.
struct Count: RemoteTask {
    var to: Channel<Int>
    var limit: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<limit { try await to.send(number) }
    }
}

struct BadNews: Error, Codable, Equatable { var text: String }

/// Sends items and then closes with an error.
struct SendAndFail: RemoteTask {
    var to: Channel<Int>
    var items: [Int]
    func run(in context: RemoteContext) async throws {
        for item in items { try await to.send(item) }
        to.close(throwing: BadNews(text: "no more"))
    }
}

/// Sends what it was given over channels that came over a channel.
struct GreetOver: RemoteTask {
    struct Pair: Codable, Sendable {
        var first: Channel<String>
        var others: [String: Channel<String>]
    }

    var channels: Channel<Pair>
    func run(in context: RemoteContext) async throws {
        guard let pair = try await channels.receive() else { return }
        try await pair.first.send("hello")
        for (name, channel) in pair.others { try await channel.send("world \(name)") }
    }
}

/// Returns the end that it was given.
struct SendBack: RemoteTask {
    var end: Channel<String>
    func run(in context: RemoteContext) async throws -> Channel<String> { end }
}

/// Makes a channel there, keeps an end and returns the other.
struct MakeThere: RemoteTask {
    func run(in context: RemoteContext) async throws -> ChannelEnd<String, Int> {
        let (here, away) = context.makeChannel(sending: Int.self, receiving: String.self)
        Task {
            do {
                while let text = try await here.receive() { try await here.send(text.utf8.count) }
            } catch {}
        }
        return away
    }
}

/// Keeps sending until it cannot, and says why.
struct SendUntilClosed: RemoteTask {
    var to: Channel<Int>
    func run(in context: RemoteContext) async throws -> String {
        var number = 0
        while true {
            do { try await to.send(number) } catch let error as MartletError { return "\(error.code)" }
            number += 1
        }
    }
}

/// Waits for one item of each of two kinds of channel, whichever comes first.
struct Relay: RemoteTask {
    var from: Channel<[UInt8]>
    var to: Channel<[UInt8]>
    func run(in context: RemoteContext) async throws {
        for try await item in from { try await to.send(item) }
        to.finish()
    }
}

/// Sends byte strings of one size.
struct SendBytes: RemoteTask {
    var to: Channel<[UInt8]>
    var size: Int
    var count: Int
    func run(in context: RemoteContext) async throws {
        for index in 0..<count { try await to.send([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)) }
    }
}

/// Holds on to an end and reads nothing until it is told to.
struct HoldUnread: RemoteTask {
    var end: Channel<[UInt8]>
    var milliseconds: Int
    func run(in context: RemoteContext) async throws -> Int {
        try await Task.sleep(for: .milliseconds(milliseconds))
        var count = 0
        for try await item in end { count += item.count }
        return count
    }
}

/// Does nothing with the end that it was given.
struct DropEnd: RemoteTask {
    var end: Channel<Int>
    func run(in context: RemoteContext) async throws {}
}
