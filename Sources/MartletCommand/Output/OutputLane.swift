import Synchronization

/// One host's lines on their way to the writer. One task at a time writes to a lane.
final class OutputLane: Sendable {
    /// How much may gather before the host has to wait, in bytes.
    private static let limit = 64 * 1024

    private let output: Output
    private let state = Mutex(State())

    private struct State {
        var segments = OutputSegments()
        var isQueued = false
        var producer: UnsafeContinuation<Void, Never>?
    }

    init(_ output: Output) { self.output = output }

    /// Prints; waits while too much has gathered, unless the task is cancelled.
    func write(_ bytes: [UInt8], to pipe: Output.Pipe = .output) async {
        let (isFirst, isFull) = state.withLock { state in
            state.segments.append(pipe, bytes)
            defer { state.isQueued = true }
            return (!state.isQueued, state.segments.byteCount >= Self.limit)
        }
        if isFirst { output.enqueue(self) }
        if isFull { await untilDrained() }
    }

    private func untilDrained() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.segments.byteCount >= Self.limit, !Task.isCancelled else { return false }
                    state.producer = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            let producer = state.withLock { $0.producer.take() }
            producer?.resume()
        }
    }

    /// Moves what has gathered to the end of `segments`.
    func drain(into segments: inout OutputSegments) {
        let (gathered, producer) = state.withLock { state in
            state.isQueued = false
            return (state.segments.take(), state.producer.take())
        }
        producer?.resume()
        for (pipe, bytes) in gathered { segments.append(pipe, bytes) }
    }
}

/// Bytes for the two outputs, in their order.
struct OutputSegments: Sendable {
    private var segments: [(pipe: Output.Pipe, bytes: [UInt8])] = []
    private(set) var byteCount = 0

    mutating func append(_ pipe: Output.Pipe, _ bytes: [UInt8]) {
        byteCount += bytes.count
        if let last = segments.indices.last, segments[last].pipe == pipe {
            segments[last].bytes += bytes
        } else {
            segments.append((pipe, bytes))
        }
    }

    mutating func take() -> [(pipe: Output.Pipe, bytes: [UInt8])] {
        defer { self = OutputSegments() }
        return segments
    }
}
