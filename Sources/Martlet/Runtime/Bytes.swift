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
