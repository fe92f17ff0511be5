import CMartlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// XXH64 of what passes, and how much it was. It shows that what arrived is what was read; it is no proof against people.
package struct FileChecksum {
    private var state = martlet_checksum()

    package init() { martlet_checksum_begin(&state) }

    var count: Int { Int(state.count) }
    package var value: UInt64 { withUnsafePointer(to: state) { martlet_checksum_end($0) } }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        if let start = bytes.baseAddress { martlet_checksum_add(&state, start, bytes.count) }
    }

    /// Stops when the task is cancelled: whoever lies may claim a hole of any size.
    mutating func add(zeros count: Int) {
        var rest = count
        while rest > 0, !Task.isCancelled {
            let part = min(rest, 64 << 20)
            martlet_checksum_add_zeros(&state, UInt64(part))
            rest -= part
        }
    }

    /// Adds what a descriptor gives from where it stands, `limit` bytes at most.
    ///
    /// - Returns: 0 or the error number; `ECANCELED` if the task is.
    mutating func add(contentOf descriptor: Int32, limit: Int = .max) -> Int32 {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
        defer { room.deallocate() }
        let end = limit == .max ? .max : count + limit
        while count < end {
            if Task.isCancelled { return ECANCELED }
            let part = readSome(descriptor, room.baseAddress!, min(room.count, end - count))
            if part < 0 { return Int32(-part) }
            if part == 0 { break }
            add(UnsafeRawBufferPointer(rebasing: room[..<part]))
        }
        return 0
    }
}
