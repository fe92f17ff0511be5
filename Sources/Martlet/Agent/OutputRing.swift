import DequeModule

/// The last lines that a detached context printed, up to a number of bytes; older ones are dropped and counted.
struct OutputRing {
    /// In bytes, each line with ``overhead``: 1 MiB.
    static let limit = 1 << 20
    static let overhead = 32

    struct Line: Sendable, Equatable {
        var pipe: OutputLine.Pipe
        var bytes: [UInt8]
    }

    private(set) var lines = Deque<Line>()
    private(set) var dropped = 0
    private var size = 0
    private let limit: Int

    init(limit: Int = OutputRing.limit) { self.limit = limit }

    mutating func append(_ line: Line) {
        lines.append(line)
        size += line.bytes.count + Self.overhead
        trim()
    }

    /// Adds lines that are older than all.
    mutating func prepend(_ older: [Line]) {
        lines.insert(contentsOf: older, at: 0)
        for line in older { size += line.bytes.count + Self.overhead }
        trim()
    }

    private mutating func trim() {
        while size > limit, let first = lines.popFirst() {
            size -= first.bytes.count + Self.overhead
            dropped += 1
        }
    }
}
