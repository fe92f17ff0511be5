import Glibc
import Martlet
import MartletTestSupport

/// Does what its member is to do.
struct Behave: RemoteTask {
    enum Kind: String, Codable, Sendable {
        case fine, fail, last, die
    }
    var kind: Kind

    func run(in context: RemoteContext) async throws -> String {
        switch kind {
        case .fine: return "fine"
        case .fail: throw PlainError(text: "as told")
        case .last:
            try await Task.sleep(for: .seconds(600))
            return "late"
        case .die:
            kill(getpid(), SIGKILL)
            return ""
        }
    }
}

/// Which process it is.
struct ProcessID: RemoteTask {
    func run(in context: RemoteContext) async throws -> Int32 { getpid() }
}

/// Whether the nice level is that.
struct HasNice: RemoteTask {
    var level: Int32
    func run(in context: RemoteContext) async throws -> Bool { getpriority(__priority_which_t(0), 0) == level }
}

/// Fails as long as a file is not there, and makes it.
struct SecondTime: RemoteTask {
    var path: String
    func run(in context: RemoteContext) async throws -> Int {
        guard access(path, F_OK) == 0 else {
            Signpost.leave(path)
            throw PlainError(text: "the first time")
        }
        return 2
    }
}

/// Leaves a mark, and waits for one.
struct Meet: RemoteTask {
    var leave: String?
    var wait: String?
    func run(in context: RemoteContext) async throws -> Bool {
        if let leave { Signpost.leave(leave) }
        if let wait { Signpost.block(until: wait) }
        return wait.map { access($0, F_OK) == 0 } ?? true
    }
}

/// Adds up what comes.
struct Adder: RemoteTask {
    var numbers: ChannelEnd<Never, Int>
    func run(in context: RemoteContext) async throws -> Int {
        var sum = 0
        for try await number in numbers { sum += number }
        return sum
    }
}

/// Sends its number twice what it gets.
struct Doubler: RemoteTask {
    var channel: Channel<Int>
    func run(in context: RemoteContext) async throws {
        for try await item in channel { try await channel.send(item * 2) }
    }
}
