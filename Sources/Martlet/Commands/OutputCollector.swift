/// Keeps what a command writes, up to a limit, and cuts it into lines.
package struct OutputCollector {
    package private(set) var output: [UInt8] = []
    package private(set) var error: [UInt8] = []
    package private(set) var isTruncated = false
    private let limit: Int
    private let splitsLines: Bool
    private var outputLines = LineSplitter()
    private var errorLines = LineSplitter()

    package init(limit: Int, splitsLines: Bool) {
        self.limit = limit
        self.splitsLines = splitsLines
    }

    /// - Returns: the lines that are complete now.
    package mutating func append(_ pipe: CommandPipe, _ bytes: ArraySlice<UInt8>) -> [OutputLine] {
        switch pipe {
        case .output: if Self.keep(bytes, in: &output, limit) { isTruncated = true }
        case .error: if Self.keep(bytes, in: &error, limit) { isTruncated = true }
        case .items, .image: return []
        }
        guard splitsLines else { return [] }
        return bytes.withUnsafeBytes { bytes in
            switch pipe {
            case .output: outputLines.appendLines(bytes).map { OutputLine(pipe: .output, bytes: $0.bytes, end: $0.end) }
            case .error: errorLines.appendLines(bytes).map { OutputLine(pipe: .error, bytes: $0.bytes, end: $0.end) }
            case .items, .image: []
            }
        }
    }

    /// - Returns: whether there was more than fits.
    private static func keep(_ bytes: ArraySlice<UInt8>, in kept: inout [UInt8], _ limit: Int) -> Bool {
        let room = max(0, limit - kept.count)
        kept.append(contentsOf: bytes.prefix(room))
        return bytes.count > room
    }

    /// - Returns: what stands behind the last end of a line.
    package mutating func finish() -> [OutputLine] {
        [
            outputLines.finishLine().map { OutputLine(pipe: .output, bytes: $0.bytes, end: $0.end) },
            errorLines.finishLine().map { OutputLine(pipe: .error, bytes: $0.bytes, end: $0.end) },
        ].compactMap { $0 }
    }
}
