import Logging
import MartletLink
import MartletWire
import Synchronization

/// Hands the log records of all contexts to the controller's own logging system.
enum LogIntake {
    /// What waits of one child, in bytes.
    static let limit = 16 * 1024 * 1024

    static func make() -> MessageIntake {
        let loggers = Loggers()
        return MessageIntake(limit: limit) { runtime, opener, message in
            guard let opener else { return }
            log(message, loggers, ["context": context(opener, runtime)])
        } note: { runtime, child, dropped in
            let address = runtime.node.address.child(child) ?? runtime.node.address
            Logger(label: "martlet").warning(
                "dropped \(dropped) log records: they came faster than they could be handled",
                metadata: ["context": context(address, runtime), "dropped": "\(dropped)"], source: "Martlet")
        }
    }

    private static func context(_ address: ContextAddress, _ runtime: ContextRuntime) -> Logger.MetadataValue {
        .string("\(runtime.route(to: address))")
    }

    private static func log(_ message: [UInt8], _ loggers: Loggers, _ own: Logger.Metadata) {
        guard let record = try? CBORDecoder().decode(LogRecord.self, from: message),
            let level = Logger.Level(rawValue: record.level)
        else { return }
        loggers[record.label].log(
            level: level, "\(record.message)", metadata: record.loggerMetadata.merging(own) { $1 },
            source: record.source, file: record.file, function: record.function, line: record.line)
    }

    /// Those that were needed before.
    private final class Loggers: Sendable {
        private let loggers = Mutex<[String: Logger]>([:])

        subscript(label: String) -> Logger {
            loggers.withLock { loggers in
                // A context may make up labels without end.
                if loggers.count >= 256 { loggers = [:] }
                let logger = loggers[label] ?? Logger(label: label)
                loggers[label] = logger
                return logger
            }
        }
    }
}
