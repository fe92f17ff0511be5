import Logging
import MartletLink
import MartletReactor
import MartletWire

/// The controller's end of a context's log: hands records to the controller's own logging system, one after the other.
///
/// They are handled in a task: a log handler that blocks holds up this stream, whose credit then runs out, and nothing
/// else.
final class IncomingLogs: AcceptedStreamOwner {
    private let key: StreamKey
    private let runtime: ContextRuntime
    private let queue: InboundQueue

    init(_ key: StreamKey, runtime: ContextRuntime) {
        self.key = key
        self.runtime = runtime
        queue = InboundQueue(runtime.node)
        queue.opened(key)
    }

    func begin() {
        // It ends with the stream.
        Task(executorPreference: runtime.reactor) { [self] in
            var loggers: [String: Logger] = [:]
            while let message = try? await queue.next() {
                let bytes: [UInt8]
                switch message {
                case .data(let data), .end(let data): bytes = data
                }
                guard let record = try? CBORDecoder().decode(LogRecord.self, from: bytes),
                    let level = Logger.Level(rawValue: record.level)
                else { continue }
                // A context may make up labels without end.
                if loggers.count >= 256 { loggers = [:] }
                let logger = loggers[record.label] ?? Logger(label: record.label)
                loggers[record.label] = logger
                log(record, level, logger)
            }
        }
    }

    private func log(_ record: LogRecord, _ level: Logger.Level, _ logger: Logger) {
        var metadata = record.loggerMetadata
        metadata["context"] = .string("\(runtime.route(to: key.opener))")
        logger.log(
            level: level, "\(record.message)", metadata: metadata, source: record.source, file: record.file,
            function: record.function, line: record.line)
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        queue.received(kind, payload, flags)
    }

    func wasReset(_ reason: ResetReason) { queue.wasReset(reason) }
}
