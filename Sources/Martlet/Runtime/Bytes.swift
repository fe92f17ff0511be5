#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// `read` and `write` by names that no method hides.

@inline(__always)
package func readBytes(_ descriptor: Int32, _ pointer: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(descriptor, pointer, count)
}

@inline(__always)
package func writeBytes(_ descriptor: Int32, _ pointer: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, pointer, count)
}

/// Writes all of it, waiting as long as it takes; what cannot be written is lost.
///
/// - Returns: 0, or `errno`.
@discardableResult
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
    bytes.withUnsafeBytes { bytes in
        var offset = 0
        while offset < bytes.count {
            let count = writeBytes(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
            if count >= 0 {
                offset += count
            } else if errno == EAGAIN {
                // Somebody made it non-blocking, as whoever shares the terminal may.
                var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&room, 1, 1000)
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }
}

extension [UInt8] {
    /// Appends `count` bytes, few of them, that `fill` writes.
    @inline(__always)
    mutating func append(addingCapacity count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) {
        guard count > 0 else { return }
        withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { room in
            fill(room.baseAddress!)
            append(contentsOf: room)
        }
    }
}

extension UnsafeRawBufferPointer {
    func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let a = baseAddress, let b = other.baseAddress else { return true }
        return memcmp(a, b, count) == 0
    }
}
