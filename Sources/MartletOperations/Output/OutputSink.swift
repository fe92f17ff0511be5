public import Martlet
import Synchronization

#if canImport(Glibc)
@preconcurrency import Glibc
#elseif canImport(Musl)
@preconcurrency import Musl
#endif

/// Takes the lines that operations show.
public struct OutputSink: Sendable {
    let write: @Sendable (OutputLine.Pipe, [UInt8]) -> Void

    /// - Parameter write: gets each line as the template has made it, as bytes, and whether it belongs on standard output or
    ///   standard error. Operations that run at once call it at once. While it does not return, the command waits.
    public init(_ write: @escaping @Sendable (OutputLine.Pipe, [UInt8]) -> Void) { self.write = write }

    /// This program's standard output and standard error.
    public static let standard = OutputSink { pipe, bytes in StandardStreams.write(bytes, to: pipe == .output ? 1 : 2) }

    /// Nowhere.
    public static let nothing = OutputSink { _, _ in }
}

/// This program's standard output and error.
enum StandardStreams {
    /// Lines of operations that run at once do not mix.
    private static let turn = Mutex(())

    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        // What the program itself has printed before comes before. Not all files: who reads a line holds standard input.
        fflush(stdout)
        fflush(stderr)
        _ = turn.withLock { _ in writeAll(bytes, to: descriptor) }
    }
}
