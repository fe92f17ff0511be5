import Glibc
import Martlet

struct Add: RemoteTask {
    var a: Int
    var b: Int
    func run(in context: RemoteContext) async throws -> Int { a + b }
}

/// Waits until it is cancelled.
struct WaitForEver: RemoteTask {
    func run(in context: RemoteContext) async throws { try await Task.sleep(for: .seconds(3600)) }
}

/// Sends numbers until nobody takes them.
struct SendNumbers: RemoteTask {
    var to: Channel<Int>
    var count: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<count { try await to.send(number) }
    }
}

/// Adds up what comes.
struct Sum: RemoteTask {
    var from: Channel<Int>
    func run(in context: RemoteContext) async throws -> Int {
        var sum = 0
        for try await number in from { sum += number }
        return sum
    }
}

/// Prints and ends its process.
struct Die: RemoteTask {
    func run(in context: RemoteContext) async throws { kill(getpid(), SIGKILL) }
}
