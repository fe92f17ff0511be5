import Synchronization

/// How far a transfer has come.
public struct TransferProgress: Sendable, Hashable {
    /// Content that has passed.
    public var byteCount = 0
    /// Content that is to pass; `nil` while nobody knows.
    public var totalBytes: Int?
    /// Files that have passed whole.
    public var fileCount = 0
    /// Files that are to pass; `nil` while nobody knows.
    public var totalFiles: Int?
    /// The file that is passing, in its tree; empty if it is the only one.
    public var path: [UInt8] = []
    /// Nothing follows, however it ended.
    public var isFinished = false

    /// Progress to loop over: the sequence, and what is given to `onProgress` of the transfer, of one transfer alone.
    ///
    ///     let (updates, report) = TransferProgress.makeStream()
    ///     async let copied = web.put("disk.img", to: "/srv/", onProgress: report)
    ///     for await progress in updates { print(progress.byteCount) }
    ///     _ = try await copied
    ///
    /// The sequence ends when the transfer does. Whoever reads slowly misses what is out of date by then.
    public static func makeStream() -> (
        updates: AsyncStream<TransferProgress>, report: @Sendable (TransferProgress) -> Void
    ) {
        let (stream, continuation) = AsyncStream.makeStream(of: Self.self, bufferingPolicy: .bufferingNewest(1))
        return (
            stream,
            { progress in
                continuation.yield(progress)
                if progress.isFinished { continuation.finish() }
            }
        )
    }
}

extension TransferProgress {
    mutating func set(_ now: (files: Int, bytes: Int, path: [UInt8]), _ total: (files: Int, bytes: Int)) {
        (fileCount, byteCount, path) = (now.files, now.bytes, now.path)
        (totalFiles, totalBytes) = (total.files, total.bytes)
    }
}

/// Tells of progress, the end included.
struct ProgressTeller: Sendable {
    let onProgress: (@Sendable (TransferProgress) -> Void)?
    private let state = Locked(TransferProgress())

    init(_ onProgress: (@Sendable (TransferProgress) -> Void)?) { self.onProgress = onProgress }

    func tell(_ change: (inout TransferProgress) -> Void) {
        guard let onProgress else { return }
        let progress = state.withLock { progress in
            change(&progress)
            return progress
        }
        onProgress(progress)
    }

    func finish() { tell { $0.isFinished = true } }
}
