import Martlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// Joins a stream to a context with the pipes of an `ssh` that a tool runs. Everything happens on the polling thread: no task is
/// woken for what flows.
final class JoinedStream: StreamOwner {
    enum Kind: Sendable {
        /// A command with control: the first byte of each message tells what it is.
        case command
        /// A connection: bytes as they are.
        case connection
    }

    enum Outcome: Sendable {
        case ended(JoinedEnd)
        /// The stream is over: the words of who ended it.
        case lost(ResetReason)
    }

    private struct State {
        var key: StreamKey?
        var outcome: Outcome?
        /// Nobody reads what the command writes.
        var isOutputBroken = false
        /// Its output is written and closed.
        var isOutputDone = false
        var hasSaidBroken = false
        /// Of a connection: which directions are over.
        var hasInputEnded = false
        var hasOutputEnded = false
        var isOver = false
    }

    private let node: ContextNode
    private let kind: Kind
    private let source: Mutex<LentSource?> = Mutex(nil)
    private let sink: Mutex<LentSink?> = Mutex(nil)
    private let state = Mutex(State())
    private let onError: @Sendable (_ bytes: UnsafeRawBufferPointer, _ payload: Int) -> Void
    private let onEnd: @Sendable (Outcome) -> Void

    /// The most that one message carries, in bytes: less than a frame, and sent only when there is credit for a whole one. So
    /// some is left for signals and for the end of input.
    private static let maximum = FrameHeader.maximumPayload - 768

    /// - Parameters:
    ///   - onError: gets standard error, and the size for ``consumed(_:)`` when it is written.
    ///   - onEnd: called once, when the end has come and all output is written; not after ``cancel()``.
    init(
        _ node: ContextNode, _ kind: Kind,
        onError: @escaping @Sendable (_ bytes: UnsafeRawBufferPointer, _ payload: Int) -> Void,
        onEnd: @escaping @Sendable (Outcome) -> Void
    ) {
        self.node = node
        self.kind = kind
        self.onError = onError
        self.onEnd = onEnd
    }

    /// Takes the descriptors over. To be called before the stream is opened.
    ///
    /// - Parameter input: `nil`: there is none.
    func attach(input: Int32?, output: Int32) {
        sink.withLock { sink in
            sink = LentSink(output, reactor: node.reactor) { [self] in
                consumed($0)
            } onDone: { [self] in
                outputDone($0)
            }
        }
        if let input {
            source.withLock { source in
                source = LentSource(input, reactor: node.reactor, maximum: Self.maximum) {
                    [self] in
                    send($0)
                } onEnd: { [self] in
                    endInput()
                }
            }
        }
        // It may have been cancelled meanwhile.
        if state.withLock({ $0.isOver }) { release() }
    }

    func opened(_ key: StreamKey) { state.withLock { $0.key = key } }

    /// Begins to read input: the stream is open.
    func begin() {
        if let source = source.withLock({ $0 }) { source.resume() } else { endInput() }
    }

    private var key: StreamKey? { state.withLock { $0.key } }

    // MARK: To the context

    private func send(_ message: UnsafeMutableRawBufferPointer) -> Bool {
        guard let key else { return false }
        let result: ContextNode.SendResult
        switch kind {
        case .command:
            message[0] = JoinedControl.input.rawValue
            result = node.sendData(key, UnsafeRawBufferPointer(message), flags: .bulk)
        case .connection:
            result = node.sendData(key, UnsafeRawBufferPointer(rebasing: message.dropFirst()), flags: .bulk)
        }
        guard case .sent = result else { return false }
        return hasRoom(key)
    }

    private func hasRoom(_ key: StreamKey) -> Bool {
        (node.sendablePayload(key) ?? 0) >= FrameHeader.maximumPayload
    }

    private func endInput() {
        guard let key else { return }
        switch kind {
        case .command: say(.endOfInput, [])
        case .connection:
            node.sendEnd(key, flags: .bulk)
            let isWhole = state.withLock { state in
                state.hasInputEnded = true
                return state.hasOutputEnded
            }
            if isWhole { finish(.ended(.exited(0))) }
        }
    }

    func say(_ control: JoinedControl, _ bytes: [UInt8]) {
        guard kind == .command, let key else { return }
        ([control.rawValue] + bytes).withUnsafeBytes { _ = node.sendData(key, $0, flags: .bulk) }
    }

    /// A message was taken by its reader.
    func consumed(_ payload: Int) {
        if let key { node.consumed(key, payload: payload) }
    }

    // MARK: StreamOwner

    func creditArrived() {
        guard let key, hasRoom(key) else { return }
        source.withLock { $0 }?.resume()
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let sink = sink.withLock { $0 }
        switch (self.kind, kind) {
        case (.connection, .data): sink?.write(payload, cost: payload.count)
        case (.connection, _):
            // The other direction ends by itself.
            let isWhole = state.withLock { state in
                state.hasOutputEnded = true
                return state.hasInputEnded
            }
            if isWhole { finish(.ended(.exited(0))) } else { sink?.finish() }
        case (.command, .data):
            let rest = UnsafeRawBufferPointer(rebasing: payload.dropFirst())
            switch payload.first.map(JoinedPipe.init) {
            case .output:
                if isNewlyUnwanted { say(.signal, [13]) }
                sink?.write(rest, cost: payload.count)
            case .error: onError(rest, payload.count)
            default: consumed(payload.count)
            }
        case (.command, _): finish(.ended(JoinedEnd(payload)))
        }
    }

    func wasReset(_ reason: ResetReason) {
        // Who has said all may close the connection without having read all.
        let isClosed = state.withLock { $0.hasOutputEnded } && reason.code == .cancelled
        finish(isClosed ? .ended(.exited(0)) : .lost(reason))
    }

    /// What writes to a pipe that nobody reads gets SIGPIPE. It learns of it when it writes again.
    private var isNewlyUnwanted: Bool {
        state.withLock { state in
            guard state.isOutputBroken, !state.hasSaidBroken else { return false }
            state.hasSaidBroken = true
            return true
        }
    }

    // MARK: End

    private func finish(_ outcome: Outcome) {
        let key = state.withLock { state -> StreamKey? in
            if state.outcome == nil { state.outcome = outcome }
            return state.key
        }
        source.withLock { $0 }?.close()
        // It may have ended without having read its input.
        if let key { node.reset(key, ResetReason(.cancelled, "the command has ended")) }
        sink.withLock { $0 }?.finish()
        endIfDone()
    }

    private func outputDone(_ isBroken: Bool) {
        state.withLock { state in
            state.isOutputDone = true
            state.isOutputBroken = isBroken
        }
        // A connection has no signal for who writes to nobody: it is closed.
        if isBroken, kind == .connection { return finish(.ended(.exited(0))) }
        endIfDone()
    }

    private func endIfDone() {
        let outcome = state.withLock { state -> Outcome? in
            guard !state.isOver, state.isOutputDone, let outcome = state.outcome else { return nil }
            state.isOver = true
            return outcome
        }
        guard let outcome else { return }
        release()
        onEnd(outcome)
    }

    /// Ends it: the far program is ended with its group.
    func cancel(_ why: String) {
        let key = state.withLock { state -> StreamKey? in
            state.isOver = true
            return state.key
        }
        if let key { node.reset(key, ResetReason(.cancelled, why)) }
        release()
    }

    private func release() {
        let source = source.withLock { source in
            defer { source = nil }
            return source
        }
        let sink = sink.withLock { sink in
            defer { sink = nil }
            return sink
        }
        source?.close()
        sink?.close()
    }
}
