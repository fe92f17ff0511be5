import Synchronization

/// A value with a lock that closures can share: a `Mutex` itself cannot be captured by one that escapes.
package final class Locked<Value>: Sendable {
    private let mutex: Mutex<Value>

    package init(_ value: sending Value) { mutex = Mutex(value) }

    package func withLock<R>(_ body: (inout sending Value) throws -> sending R) rethrows -> sending R {
        try mutex.withLock(body)
    }
}

extension Locked where Value: Sendable {
    /// What it is now.
    package var value: Value { withLock { $0 } }
}
