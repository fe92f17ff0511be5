import Martlet
import Synchronization

/// Everything that the program prints, by one writer.
///
/// What is said is queued as it is; a host's lines gather in its ``OutputLane``, which is queued as a whole, so that many
/// hosts that print much do not meet at one lock for every line. No thread waits for a slow reader but the writer's. On
/// a terminal lines of status stay below what is printed.
final class Output: Sendable {
    enum Pipe: Int32, Sendable {
        case output = 1
        case error = 2
    }

    private enum Entry {
        case text(Pipe, [UInt8])
        case lane(OutputLane)
    }

    let style: Style
    let errorStyle: Style
    let isTerminal: Bool
    let errorIsTerminal: Bool
    private let isDumb: Bool
    private let interruption: Interruption
    private let state = Mutex(State())

    private struct State {
        var queue: [Entry] = []
        var status: [StatusLine] = []
        var statusChanged = false
        var drawn = DrawnStatus()
        var isFinished = false
        var isBroken = false
        var writer: UnsafeContinuation<Void, Never>?

        var hasWork: Bool { !queue.isEmpty || statusChanged || isFinished }
    }

    init(colour: ColourChoice, interruption: Interruption) {
        isTerminal = SystemCalls.isTerminal(Pipe.output.rawValue)
        errorIsTerminal = SystemCalls.isTerminal(Pipe.error.rawValue)
        isDumb = SystemCalls.variable("TERM") == "dumb"
        style = Style(isColoured: colour.applies(toTerminal: isTerminal && !isDumb))
        errorStyle = Style(isColoured: colour.applies(toTerminal: errorIsTerminal && !isDumb))
        self.interruption = interruption
    }

    func isTerminal(_ pipe: Pipe) -> Bool { pipe == .output ? isTerminal : errorIsTerminal }
    func style(_ pipe: Pipe) -> Style { pipe == .output ? style : errorStyle }

    // MARK: Printing

    /// Where one host's lines go.
    func makeLane() -> OutputLane { OutputLane(self) }

    /// Has the writer come by at a lane.
    func enqueue(_ lane: OutputLane) { wakeWriter { $0.queue.append(.lane(lane)) } }

    /// Prints a line without ever waiting: for the little that we say ourselves.
    func say(_ line: String, to pipe: Pipe = .output) {
        wakeWriter { $0.queue.append(.text(pipe, Array((line + "\n").utf8))) }
    }

    /// Shows a line at the end of the terminal until the next one; nil takes it away. Nothing where there is no terminal.
    func show(status: String?) { show(status.map { [StatusLine($0, .faint)] } ?? []) }

    /// Shows lines there until the next ones. See ``hasRoom(for:)``.
    func show(_ status: [StatusLine]) {
        guard errorIsTerminal else { return }
        wakeWriter { state in
            guard state.status != status else { return }
            state.status = status
            state.statusChanged = true
        }
    }

    /// Whether several lines of status leave enough of the terminal for what is printed, and it can take them away again.
    func hasRoom(for lines: Int) -> Bool {
        guard errorIsTerminal, !isDumb, let size = SystemCalls.terminalSize(Pipe.error.rawValue) else { return false }
        return size.columns >= 40 && size.rows >= 2 * lines
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
            let batch = state.withLock { state -> (entries: [Entry], isLast: Bool)? in
                guard state.hasWork else { return nil }
                defer { state.queue = [] }
                if state.isFinished { state.status = [] }
                return (state.queue, state.isFinished && state.queue.isEmpty)
            }
            guard let batch else {
                await awaitWork()
                continue
            }
            write(batch.entries)
            if batch.isLast { return }
        }
    }

    private func awaitWork() async {
        await withUnsafeContinuation { continuation in
            let hasWork = state.withLock { state in
                if !state.hasWork { state.writer = continuation }
                return state.hasWork
            }
            if hasWork { continuation.resume() }
        }
    }

    private func write(_ entries: [Entry]) {
        var (status, drawn, isBroken) = state.withLock { state in
            state.statusChanged = false
            return (state.status, state.drawn, state.isBroken)
        }
        // Asked for each time: it may have changed.
        let columns = drawn.isEmpty && status.isEmpty ? 80 : SystemCalls.columns(Pipe.error.rawValue) ?? 80
        writeStatus(drawn.erasure(columns: columns))
        var gathered = OutputSegments()
        for entry in entries {
            switch entry {
            case .text(let pipe, let bytes): gathered.append(pipe, bytes)
            case .lane(let lane): lane.drain(into: &gathered)
            }
            if gathered.byteCount >= 64 * 1024 { write(&gathered, isBroken) }
        }
        write(&gathered, isBroken)
        writeStatus(drawn.drawing(status, errorStyle, columns: columns))
        // Nobody else changes it.
        state.withLock { [drawn] in $0.drawn = drawn }
    }

    private func writeStatus(_ text: String) {
        guard !text.isEmpty else { return }
        writeAll(Array(text.utf8), to: Pipe.error.rawValue)
    }

    private func write(_ segments: inout OutputSegments, _ isBroken: Bool) {
        for (pipe, bytes) in segments.take() where !(isBroken && pipe == .output) {
            let error = writeAll(bytes, to: pipe.rawValue)
            if error != 0, pipe == .output { outputFailed(error) }
        }
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
    func finish() { wakeWriter { $0.isFinished = true } }
}
