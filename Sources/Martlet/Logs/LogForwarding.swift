import DequeModule
import Logging
import MartletWire
import Synchronization

/// What becomes of swift-log in an agent: every record goes to the controller's logging system.
///
/// What is logged before the link is up waits, up to a limit. Nothing here knows the levels of others: the controller
/// says at the connect what it wants, and a logger of the user's may ask for more or less.
enum LogForwarding {
    private struct State {
        var stream: ForwardingStream?
        var early = Deque<[UInt8]>()
        var dropped = 0
        var level = Logger.Level.info
    }

    private static let state = Mutex(State())
    private static let earlyLimit = 1000

    /// Takes over this process's logging system. Called in an agent, before any code of the user's.
    static func begin() {
        LoggingSystem.bootstrap { ForwardingLogHandler(label: $0) }
    }

    /// The link is up.
    static func start(_ node: ContextNode, level: Logger.Level) {
        let stream = ForwardingStream(node, .log) { Self.note($0) }
        state.withLock { state in
            state.stream = stream
            state.level = level
            if state.dropped > 0 { state.early.append(note(state.dropped)) }
            for record in state.early { stream.send(record) }
            (state.early, state.dropped) = ([], 0)
        }
    }

    /// There is no link for a while: records wait again. Returns what still sends those before.
    static func pause() -> ForwardingStream? {
        state.withLock { state in
            defer { state.stream = nil }
            return state.stream
        }
    }

    static var level: Logger.Level { state.withLock { $0.level } }
    static var isDrained: Bool { state.withLock { $0.stream?.isDrained ?? true } }

    static func send(_ record: LogRecord) {
        let bytes = record.bytes
        let stream = state.withLock { state in
            if state.stream == nil {
                if state.early.count < earlyLimit { state.early.append(bytes) } else { state.dropped += 1 }
            }
            return state.stream
        }
        stream?.send(bytes)
    }

    private static func note(_ dropped: Int) -> [UInt8] {
        let event = LogEvent(
            level: .warning, message: "dropped \(dropped) log records: more came than the link could carry",
            metadata: ["dropped": "\(dropped)"], source: "Martlet", file: #fileID, function: #function, line: #line)
        return LogRecord(event, label: "martlet", metadata: event.metadata ?? [:]).bytes
    }
}

/// The handler of every `Logger` in an agent.
struct ForwardingLogHandler: LogHandler {
    let label: String
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private var ownLevel: Logger.Level?

    init(label: String) { self.label = label }

    var logLevel: Logger.Level {
        get { ownLevel ?? LogForwarding.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        LogForwarding.send(LogRecord(event, label: label, metadata: all))
    }
}
