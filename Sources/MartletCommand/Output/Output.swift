import Synchronization

/// Everything that the program prints, in one order, by one writer.
///
/// Whoever prints much waits while a slow reader has not taken what is queued; no thread does, but the writer's. On a
/// terminal a status line stays below what is printed.
final class Output: Sendable {
    enum Pipe: Int32, Sendable {
        case output = 1
        case error = 2
    }

    /// How much is queued before producers wait, in bytes.
    private static let limit = 256 * 1024

    let style: Style
    let errorStyle: Style
    let isTerminal: Bool
    let errorIsTerminal: Bool
    private let interruption: Interruption
    private let state = Mutex(State())

    private struct State {
        var pending: [(pipe: Pipe, bytes: [UInt8])] = []
        var pendingCount = 0
        var status: String?
        var statusChanged = false
        var statusIsShown = false
        var isFinished = false
        var isBroken = false
        var writer: UnsafeContinuation<Void, Never>?
        var producers: [UnsafeContinuation<Void, Never>] = []

        mutating func append(_ pipe: Pipe, _ bytes: [UInt8]) {
            if pipe == .output, isBroken { return }
            pendingCount += bytes.count
            if pending.last?.pipe == pipe {
                pending[pending.count - 1].bytes += bytes
            } else {
                pending.append((pipe, bytes))
            }
        }
    }

    init(colour: ColourChoice, interruption: Interruption) {
        isTerminal = SystemCalls.isTerminal(Pipe.output.rawValue)
        errorIsTerminal = SystemCalls.isTerminal(Pipe.error.rawValue)
        let isDumb = SystemCalls.variable("TERM") == "dumb"
        style = Style(isColoured: colour.applies(toTerminal: isTerminal && !isDumb))
        errorStyle = Style(isColoured: colour.applies(toTerminal: errorIsTerminal && !isDumb))
        self.interruption = interruption
    }

    func isTerminal(_ pipe: Pipe) -> Bool { pipe == .output ? isTerminal : errorIsTerminal }
    func style(_ pipe: Pipe) -> Style { pipe == .output ? style : errorStyle }

    // MARK: Printing

    /// Prints; waits while too much is queued, unless the task is cancelled.
    func write(_ bytes: [UInt8], to pipe: Pipe = .output) async {
        wakeWriter { $0.append(pipe, bytes) }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.pendingCount >= Self.limit, !state.isFinished, !Task.isCancelled else { return false }
                    state.producers.append(continuation)
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            releaseProducers()
        }
    }

    private func releaseProducers() {
        let producers = state.withLock { state in
            defer { state.producers = [] }
            return state.producers
        }
        for producer in producers { producer.resume() }
    }

    /// Prints a line without ever waiting: for the little that we say ourselves.
    func say(_ line: String, to pipe: Pipe = .output) {
        wakeWriter { $0.append(pipe, Array((line + "\n").utf8)) }
    }

    /// Shows a line at the end of the terminal until the next one; nil takes it away. Nothing where there is no terminal.
    func show(status: String?) {
        guard errorIsTerminal else { return }
        wakeWriter { state in
            guard state.status != status else { return }
            state.status = status
            state.statusChanged = true
        }
    }

    private func wakeWriter(_ change: (inout State) -> Void) {
        let writer = state.withLock { state in
            change(&state)
            defer { state.writer = nil }
            return state.writer
        }
        writer?.resume()
    }

    // MARK: The writer

    /// Writes until ``finish()`` was called and nothing is left.
    func runWriter() async {
        while true {
            let batch = state.withLock { state -> (segments: [(pipe: Pipe, bytes: [UInt8])], isLast: Bool)? in
                guard !state.pending.isEmpty || state.statusChanged || state.isFinished else { return nil }
                defer { state.pending = [] }
                if state.isFinished { state.status = nil }
                return (state.pending, state.isFinished && state.pending.isEmpty)
            }
            guard let batch else {
                await awaitWork()
                continue
            }
            write(batch.segments)
            if batch.isLast { return }
        }
    }

    private func awaitWork() async {
        await withUnsafeContinuation { continuation in
            let hasWork = state.withLock { state in
                let hasWork = !state.pending.isEmpty || state.statusChanged || state.isFinished
                if !hasWork { state.writer = continuation }
                return hasWork
            }
            if hasWork { continuation.resume() }
        }
    }

    private func write(_ segments: [(pipe: Pipe, bytes: [UInt8])]) {
        let (status, wasShown) = state.withLock { state in
            defer {
                state.statusChanged = false
                state.statusIsShown = state.status != nil
            }
            return (state.status, state.statusIsShown)
        }
        if wasShown { _ = SystemCalls.writeAll(Array("\r\u{1b}[K".utf8), to: Pipe.error.rawValue) }
        for segment in segments {
            let error = SystemCalls.writeAll(segment.bytes, to: segment.pipe.rawValue)
            if error != 0, segment.pipe == .output { outputFailed(error) }
        }
        if let status {
            // The last column stays free: some terminals begin a new line there.
            let width = (SystemCalls.columns(Pipe.error.rawValue) ?? 80) - 1
            let line = errorStyle.faint(status.truncated(to: width))
            _ = SystemCalls.writeAll(Array(line.utf8), to: Pipe.error.rawValue)
        }
        let written = segments.reduce(0) { $0 + $1.bytes.count }
        let producers = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            state.pendingCount -= written
            guard state.pendingCount < Self.limit else { return [] }
            defer { state.producers = [] }
            return state.producers
        }
        for producer in producers { producer.resume() }
    }

    private func outputFailed(_ error: Int32) {
        state.withLock { $0.isBroken = true }
        interruption.fire(error == OutputWatch.closedError ? .outputClosed : .outputFailed(error))
    }

    /// Nothing is printed any more to a reader that has gone.
    func readerIsGone() {
        state.withLock { $0.isBroken = true }
        interruption.fire(.outputClosed)
    }

    /// Lets the writer end when all is written.
    func finish() {
        wakeWriter { $0.isFinished = true }
        releaseProducers()
    }
}
