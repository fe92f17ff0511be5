import Glibc
package import Logging
package import Synchronization

/// What arrived at this process's logging system.
package final class LogStore: Sendable {
    package struct Entry: Sendable {
        package var label: String
        package var level: Logger.Level
        package var message: String
        package var metadata: Logger.Metadata
        package var source: String
        package var function: String
        package var line: UInt
    }

    /// A process has one logging system: the first use bootstraps it. It takes what is of level `info` and above, and all of
    /// labels that begin with `loud` or `py.`.
    package static let shared: LogStore = {
        LoggingSystem.bootstrap { label in
            let isLoud = label.hasPrefix("loud") || label.hasPrefix("py.")
            return Handler(label: label, logLevel: isLoud ? .trace : .info)
        }
        return LogStore()
    }()

    private let entries = Mutex<[Entry]>([])
    /// While it is set, handlers wait.
    package let isHeld = Atomic(false)

    private init() {}

    package var all: [Entry] { entries.withLock { $0 } }
    package func labelled(_ label: String) -> [Entry] { all.filter { $0.label == label } }

    private func add(_ entry: Entry) {
        while isHeld.load(ordering: .relaxed) { usleep(1000) }
        entries.withLock { $0.append(entry) }
    }

    private struct Handler: LogHandler {
        var label: String
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            LogStore.shared.add(
                Entry(
                    label: label, level: event.level, message: "\(event.message)",
                    metadata: metadata.merging(event.metadata ?? [:]) { $1 }, source: event.source,
                    function: event.function, line: event.line))
        }
    }
}
