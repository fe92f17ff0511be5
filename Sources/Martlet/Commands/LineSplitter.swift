/// Cuts bytes into lines, wherever the pieces they come in begin and end. A line that is longer than the limit is handed
/// over in pieces, so that memory stays bounded.
struct LineSplitter: Sendable {
    static let maximumLine = 64 * 1024
    private var partial: [UInt8] = []

    /// - Returns: the lines that are complete now, without their ends (`\n` or `\r\n`).
    mutating func appendBytes(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0a) {
            partial.append(contentsOf: rest[rest.startIndex..<end])
            take(into: &lines)
            rest = rest[(end + 1)...]
        }
        partial.append(contentsOf: rest)
        while partial.count > Self.maximumLine {
            lines.append(Array(partial[..<Self.maximumLine]))
            partial.removeFirst(Self.maximumLine)
        }
        return lines
    }

    private mutating func take(into lines: inout [[UInt8]]) {
        if partial.last == 0x0d { partial.removeLast() }
        lines.append(partial)
        partial = []
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) -> [String] {
        appendBytes(bytes).map { String(decoding: $0, as: UTF8.self) }
    }

    /// - Returns: what stands behind the last end of a line, if anything.
    mutating func finishBytes() -> [UInt8]? {
        guard !partial.isEmpty else { return nil }
        var lines: [[UInt8]] = []
        take(into: &lines)
        return lines.first
    }

    mutating func finish() -> String? { finishBytes().map { String(decoding: $0, as: UTF8.self) } }
}
