import Martlet

/// Keeps what a command writes, up to a limit, and cuts it into lines.
struct OutputKeeper {
    private struct Stream {
        var kept: [UInt8] = []
        var splitter = LineSplitter()
    }

    private let limit: Int
    private let splitsLines: Bool
    private var streams: [OutputLine.Pipe: Stream] = [.output: Stream(), .error: Stream()]
    private(set) var isTruncated = false

    init(limit: Int, splitsLines: Bool) { (self.limit, self.splitsLines) = (limit, splitsLines) }

    func bytes(_ pipe: OutputLine.Pipe) -> [UInt8] { streams[pipe]?.kept ?? [] }

    /// - Returns: the lines that are complete now, without their ends.
    mutating func append(_ pipe: OutputLine.Pipe, _ bytes: [UInt8]) -> [[UInt8]] {
        let room = max(0, limit - (streams[pipe]?.kept.count ?? 0))
        streams[pipe]?.kept.append(contentsOf: bytes.prefix(room))
        if bytes.count > room { isTruncated = true }
        guard splitsLines else { return [] }
        return bytes.withUnsafeBytes { streams[pipe]?.splitter.appendBytes($0) ?? [] }
    }

    /// - Returns: what stands behind the last end of a line, of each that has something there.
    mutating func finish() -> [(OutputLine.Pipe, [UInt8])] {
        [.output, .error].compactMap { pipe in streams[pipe]?.splitter.finishBytes().map { (pipe, $0) } }
    }
}
