import Synchronization

/// A value that is made when it is first wanted. Who wants it meanwhile waits, on its thread.
final class Once<Value: Sendable>: Sendable {
    private let make: @Sendable () throws -> Value
    private let result = Mutex<Result<Value, any Error>?>(nil)

    init(_ make: @escaping @Sendable () throws -> Value) { self.make = make }

    /// - Throws: what making it threw, each time.
    func value() throws -> Value {
        try result.withLock { result in
            let made = result ?? Result { try make() }
            result = made
            return made
        }.get()
    }
}
