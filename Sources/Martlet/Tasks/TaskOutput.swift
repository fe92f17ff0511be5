import CMartlet
import MartletWire
import Synchronization

/// Where one task's prints go: `print`, and what C code writes to `stdout` and `stderr`. What is written to the
/// descriptors 1 and 2 directly, and what programs print, belongs to the context: nobody can tell whose it is.
final class TaskOutput: Sendable {
    @TaskLocal static var current: TaskOutput?

    private let end: ChannelEnd<OutputLine, Never>
    private let lines = Mutex((output: LineSplitter(), error: LineSplitter()))

    init(_ end: ChannelEnd<OutputLine, Never>) {
        self.end = end
        Self.hook()
    }

    private func write(_ pipe: OutputLine.Pipe, _ bytes: UnsafeRawBufferPointer) {
        lines.withLock { lines in
            let whole = pipe == .output ? lines.output.appendLines(bytes) : lines.error.appendLines(bytes)
            // Under the lock, which keeps the lines in order: it waits when the reader does.
            for line in whole { end.sendBlocking(OutputLine(pipe: pipe, bytes: line.bytes, end: line.end)) }
        }
    }

    /// Nothing more is printed: what stands behind the last end of a line goes out.
    func finish() {
        lines.withLock { lines in
            if let rest = lines.output.finishLine() {
                end.sendBlocking(OutputLine(pipe: .output, bytes: rest.bytes, end: rest.end))
            }
            if let rest = lines.error.finishLine() {
                end.sendBlocking(OutputLine(pipe: .error, bytes: rest.bytes, end: rest.end))
            }
        }
        end.finish()
    }

    /// Puts us between the C library's streams and their descriptors, once, when the first task needs it.
    private static func hook() {
        _ = hooked
    }

    private static let hooked: Void = martlet_capture_output { pipe, bytes, count in
        guard let output = TaskOutput.current else { return false }
        output.write(pipe == 1 ? .output : .error, UnsafeRawBufferPointer(start: bytes, count: count))
        return true
    }
}
