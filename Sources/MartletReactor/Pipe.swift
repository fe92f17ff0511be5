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
    package init() throws(SystemError) { try self.init("make a pipe", martlet_pipe) }

    /// The two ends of one connection, each for reading and writing; neither waits.
    package static func sockets() throws(SystemError) -> Pipe {
        try Pipe("make a pair of sockets", martlet_socket_pair)
    }

    /// The same, but that the read end is a program's, which expects to wait.
    package static func connection() throws(SystemError) -> Pipe {
        let ends = try sockets()
        martlet_set_blocking(ends.readEnd)
        return ends
    }

    /// A file without a name that may be executed: in memory, or in a directory. Its write end is to be closed before that.
    package static func executableFile(in folder: String?) throws(SystemError) -> Pipe {
        try Pipe("make a file in \(folder ?? "memory")") { martlet_unnamed_file(folder, $0) }
    }

    private init(_ what: String, _ make: (UnsafeMutablePointer<Int32>) -> Int32) throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutablePointer(to: &ends) { pointer in
            pointer.withMemoryRebound(to: Int32.self, capacity: 2) { make($0) }
        }
        guard result == 0 else { throw SystemError(-result, what) }
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

/// A second descriptor for the same, close-on-exec; -1 if there are too many.
package func duplicateDescriptor(_ descriptor: Int32) -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }

/// Closes a descriptor that is not watched.
package func closeDescriptor(_ descriptor: Int32) {
    #if canImport(Glibc)
    _ = Glibc.close(descriptor)
    #elseif canImport(Musl)
    _ = Musl.close(descriptor)
    #endif
}
