import CMartlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The two ends of a pipe, both close-on-exec.
package struct Pipe {
    package var readEnd: Int32
    package var writeEnd: Int32

    /// - Throws: ``SystemError`` when this process or the machine has too many descriptors open.
    package init() throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutablePointer(to: &ends) { pointer in
            pointer.withMemoryRebound(to: Int32.self, capacity: 2) { martlet_pipe($0) }
        }
        guard result == 0 else { throw SystemError(-result, "make a pipe") }
        (readEnd, writeEnd) = ends
    }

    /// Asks the kernel to hold `count` bytes in the pipe; it may refuse, and that does no harm.
    package func grow(to count: Int) {
        #if os(Linux)
        // F_SETPIPE_SZ
        _ = fcntl(readEnd, 1031, Int32(count))
        #endif
    }

    package func close() {
        closeDescriptor(readEnd)
        closeDescriptor(writeEnd)
    }
}

/// Closes a descriptor that is not watched.
package func closeDescriptor(_ descriptor: Int32) {
    #if canImport(Glibc)
    _ = Glibc.close(descriptor)
    #elseif canImport(Musl)
    _ = Musl.close(descriptor)
    #endif
}
