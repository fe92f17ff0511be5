#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// `read` and `write` by names that no method hides.

@inline(__always)
func readBytes(_ descriptor: Int32, _ pointer: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(descriptor, pointer, count)
}

@inline(__always)
func writeBytes(_ descriptor: Int32, _ pointer: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, pointer, count)
}

extension [UInt8] {
    /// Appends `count` bytes that `fill` writes.
    @inline(__always)
    mutating func append(addingCapacity count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) {
        let start = self.count
        append(contentsOf: repeatElement(0, count: count))
        withUnsafeMutableBytes { fill($0.baseAddress! + start) }
    }
}
