import Glibc
import MartletReactor
import Synchronization

/// Runs `body` with a reactor of its own, and ends its threads afterwards.
func withReactor<Result>(
    maximumThreads: Int = 8,
    idleLimit: UInt64 = 5_000_000_000,
    readsThreadStates: Bool = true,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Reactor) async throws -> Result
) async throws -> Result {
    let reactor = Reactor(
        maximumThreads: maximumThreads, idleLimit: idleLimit, readsThreadStates: readsThreadStates)
    defer { reactor.stop() }
    return try await body(reactor)
}

/// A flag that one side sets and others look at.
final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }

    /// Keeps the thread busy until the flag is set, or ten seconds have passed.
    func spin() -> Bool {
        let deadline = Reactor.now + 10_000_000_000
        while !isSet { if Reactor.now > deadline { return false } }
        return true
    }
}

/// Counts from any thread.
final class Counter: Sendable {
    private let value = Atomic(0)
    var count: Int { value.load(ordering: .acquiring) }
    func add(_ number: Int = 1) { value.add(number, ordering: .acquiringAndReleasing) }
}

/// A handler made of a closure.
final class Handler: EventHandler {
    private let body: @Sendable (Readiness) -> Void
    init(_ body: @escaping @Sendable (Readiness) -> Void) { self.body = body }
    func ready(_ readiness: Readiness) { body(readiness) }
}

/// Blocks the calling thread until the other end of the pipe is closed or written to.
@discardableResult
func readByte(_ descriptor: Int32) -> Int {
    var byte: UInt8 = 0
    return read(descriptor, &byte, 1)
}

@discardableResult
func writeByte(_ descriptor: Int32, _ byte: UInt8 = 1) -> Int {
    var byte = byte
    return write(descriptor, &byte, 1)
}
