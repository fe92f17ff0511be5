#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Cuts bytes into lines, wherever the pieces they come in begin and end. A line that is longer than the limit is handed
/// over in pieces, so that memory stays bounded.
package struct LineSplitter: Sendable {
    package typealias Line = (bytes: [UInt8], end: OutputLine.End)

    static let maximumLine = 64 * 1024
    private var partial: [UInt8] = []

    package init() {}

    /// - Returns: the lines that are complete now, without their ends (`\n` or `\r\n`).
    package mutating func appendBytes(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]] { appendLines(bytes).map(\.bytes) }

    /// - Returns: the lines that are complete now, and how each ends.
    package mutating func appendLines(_ bytes: UnsafeRawBufferPointer) -> [Line] {
        var lines: [Line] = []
        var start = 0
        while start < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + start, 0x0a, bytes.count - start)
        {
            let end = UnsafeRawPointer(found) - base
            partial.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            take(into: &lines)
            start = end + 1
        }
        partial.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start...]))
        var taken = 0
        while partial.count - taken > Self.maximumLine {
            lines.append((Array(partial[taken..<taken + Self.maximumLine]), .none))
            taken += Self.maximumLine
        }
        if taken > 0 { partial.removeFirst(taken) }
        return lines
    }

    private mutating func take(into lines: inout [Line]) {
        let hasReturn = partial.last == 0x0d
        if hasReturn { partial.removeLast() }
        lines.append((partial, hasReturn ? .carriageReturnLineFeed : .lineFeed))
        partial = []
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) -> [String] {
        appendBytes(bytes).map { String(decoding: $0, as: UTF8.self) }
    }

    /// What stands behind the last end of a line.
    var pending: String { String(decoding: partial, as: UTF8.self) }

    /// - Returns: what stands behind the last end of a line, if anything.
    package mutating func finishBytes() -> [UInt8]? {
        guard let rest = finishLine()?.bytes else { return nil }
        return rest.last == 0x0d ? rest.dropLast() : rest
    }

    /// - Returns: the same with nothing taken away.
    package mutating func finishLine() -> Line? {
        defer { partial = [] }
        return partial.isEmpty ? nil : (partial, .none)
    }

    package mutating func finish() -> String? { finishBytes().map { String(decoding: $0, as: UTF8.self) } }
}

extension [UInt8] {
    /// The lines in them, however long, without their ends (`\n` or `\r\n`).
    package var cutIntoLines: [[UInt8]] {
        withUnsafeBytes { bytes -> [[UInt8]] in
            var lines: [[UInt8]] = []
            var start = 0
            while start < bytes.count, let base = bytes.baseAddress {
                var end = bytes.count
                if let found = memchr(base + start, 0x0a, end - start) { end = UnsafeRawPointer(found) - base }
                let hasReturn = end > start && bytes[end - 1] == 0x0d
                lines.append([UInt8](UnsafeRawBufferPointer(rebasing: bytes[start..<(hasReturn ? end - 1 : end)])))
                start = end + 1
            }
            return lines
        }
    }
}
