#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A lock with condition variables on the monotonic clock, for threads that have to sleep until there is work.
///
/// `Mutex` of the standard library has no condition to wait for; this is used where one is needed, and nowhere else.
final class ConditionLock: @unchecked Sendable {
    // pthread objects must not move: they live on the heap for as long as this object does.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    final class Condition: @unchecked Sendable {
        fileprivate let pointer = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

        init() {
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(pointer, &attributes)
            pthread_condattr_destroy(&attributes)
        }

        deinit {
            pthread_cond_destroy(pointer)
            pointer.deallocate()
        }

        func signal() { pthread_cond_signal(pointer) }
        func broadcast() { pthread_cond_broadcast(pointer) }
    }

    init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inline(__always)
    func lock() { pthread_mutex_lock(mutex) }

    @inline(__always)
    func unlock() { pthread_mutex_unlock(mutex) }

    /// Sleeps until `condition` is signalled or `nanoseconds` have passed.
    ///
    /// - Returns: `false` if the time has passed.
    @discardableResult
    func wait(for condition: Condition, nanoseconds: UInt64? = nil) -> Bool {
        guard let nanoseconds else { return pthread_cond_wait(condition.pointer, mutex) == 0 }
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let total = UInt64(deadline.tv_nsec) + nanoseconds
        deadline.tv_sec += Int(total / 1_000_000_000)
        deadline.tv_nsec = Int(total % 1_000_000_000)
        return pthread_cond_timedwait(condition.pointer, mutex, &deadline) == 0
    }
}

/// One thread waits, another lets it go on.
package final class ThreadSignal: Sendable {
    private let lock = ConditionLock()
    private let condition = ConditionLock.Condition()
    private nonisolated(unsafe) var isFired = false

    package init() {}

    package func fire() {
        lock.lock()
        isFired = true
        condition.signal()
        lock.unlock()
    }

    package func wait() {
        lock.lock()
        while !isFired { lock.wait(for: condition) }
        lock.unlock()
    }
}
