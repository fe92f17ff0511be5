import Foundation
package import Martlet

package struct Echo<Value: Codable & Sendable>: RemoteTask {
    package var value: Value
    package init(value: Value) { self.value = value }
    package func run(in context: RemoteContext) async throws -> Value { value }
}

package struct Add: RemoteTask {
    package var a: Int
    package var b: Int
    package init(a: Int, b: Int) { (self.a, self.b) = (a, b) }
    package func run(in context: RemoteContext) async throws -> Int { a &+ b }
}

package struct Nothing: RemoteTask {
    package init() {}
    package func run(in context: RemoteContext) async throws {}
}

package struct PlainError: Error, CustomStringConvertible {
    package var text: String
    package init(text: String) { self.text = text }
    package var description: String { "plain: \(text)" }
}

/// Holds its thread until a file appears.
package struct Block: RemoteTask {
    package enum Way: String, Codable, Sendable {
        case sleeping
        case spinning
    }
    package var way: Way
    package var started: String
    package var release: String

    package init(way: Way, started: String, release: String) {
        (self.way, self.started, self.release) = (way, started, release)
    }

    package func run(in context: RemoteContext) async throws -> Bool {
        Signpost.leave(started)
        switch way {
        case .sleeping:
            Signpost.block(until: release)
        case .spinning:
            let end = Date().addingTimeInterval(60)
            while access(release, F_OK) != 0, Date() < end {}
        }
        return Task.isCancelled
    }
}

/// Starts tasks as code does that knows nothing of executors, and sums up what they return.
package struct StartPlainTasks: RemoteTask {
    package var count: Int
    /// How long each of them computes.
    package var milliseconds: Int

    package init(count: Int, milliseconds: Int = 0) { (self.count, self.milliseconds) = (count, milliseconds) }

    package func run(in context: RemoteContext) async throws -> Int {
        let tasks = (0..<count).map { [milliseconds] number in
            Task.detached {
                let end = ContinuousClock.now + .milliseconds(milliseconds)
                while ContinuousClock.now < end {}
                await Task.yield()
                return number
            }
        }
        var sum = 0
        for task in tasks { sum += await task.value }
        return sum
    }
}

/// A text for the arguments of programs, by which they are found; `sleep` takes it for a day.
package func makeMarker() -> String { "86400.\(UInt32.random(in: 100_000_000...999_999_999))" }
