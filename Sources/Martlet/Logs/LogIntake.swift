import DequeModule
import Logging
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// Hands the log records of all contexts to the controller's own logging system.
///
/// One task does it for all, taking from each child in turn. A log handler that blocks holds up the logs, and one thread:
/// were there a task for each stream, a child could take all threads by opening many. What waits has a bound for each
/// child, whatever contexts below it claim to speak; what comes beyond that is dropped and counted.
final class LogIntake: Sendable {
    /// What waits of one child, in bytes.
    static let limit = 16 * 1024 * 1024
    /// What a record costs beyond its bytes.
    private static let cost = 64

    private struct Entry {
        var key: StreamKey
        var bytes: [UInt8]
        /// It cost its stream's credit.
        var isData: Bool
    }

    private struct Share {
        var entries = Deque<Entry>()
        var bytes = 0
        var dropped = 0
    }

    private struct State {
        var shares: [UInt32: Share] = [:]
        /// Children of whom something waits, in the order of their turns.
        var turns = Deque<UInt32>()
        var isRunning = false
    }

    private let state = Mutex(State())

    /// - Parameter child: the child through which it came.
    /// - Returns: whether it is kept; if not, it is as good as taken.
    func add(
        _ payload: UnsafeRawBufferPointer, _ kind: FrameHeader.Kind, _ key: StreamKey, from child: UInt32,
        _ runtime: ContextRuntime
    ) -> Bool {
        let (isKept, isFirst) = state.withLock { state in
            let waiting = state.shares[child]?.bytes ?? 0
            guard waiting + payload.count + Self.cost <= Self.limit else {
                state.shares[child]?.dropped += 1
                return (false, false)
            }
            let entry = Entry(key: key, bytes: Array(payload), isData: kind == .data)
            if state.shares[child] == nil { state.turns.append(child) }
            state.shares[child, default: Share()].entries.append(entry)
            state.shares[child]!.bytes += payload.count + Self.cost
            defer { state.isRunning = true }
            return (true, !state.isRunning)
        }
        // It ends when nothing waits.
        if isFirst { Task(executorPreference: runtime.reactor) { [self] in run(runtime) } }
        return isKept
    }

    private func next() -> (Entry, dropped: Int)? {
        state.withLock { state in
            guard let child = state.turns.popFirst(), var share = state.shares[child] else {
                state.isRunning = false
                return nil
            }
            let entry = share.entries.removeFirst()
            let dropped = share.dropped
            share.bytes -= entry.bytes.count + Self.cost
            share.dropped = 0
            state.shares[child] = share.entries.isEmpty ? nil : share
            if !share.entries.isEmpty { state.turns.append(child) }
            return (entry, dropped)
        }
    }

    private func run(_ runtime: ContextRuntime) {
        var loggers: [String: Logger] = [:]
        while let (entry, dropped) = next() {
            if entry.isData { runtime.node.consumed(entry.key, payload: entry.bytes.count) }
            let context = Logger.MetadataValue.string("\(runtime.route(to: entry.key.opener))")
            if dropped > 0 {
                Logger(label: "martlet").warning(
                    "dropped \(dropped) log records: they came faster than they could be handled",
                    metadata: ["context": context, "dropped": "\(dropped)"], source: "Martlet")
            }
            guard let record = try? CBORDecoder().decode(LogRecord.self, from: entry.bytes),
                let level = Logger.Level(rawValue: record.level)
            else { continue }
            // A context may make up labels without end.
            if loggers.count >= 256 { loggers = [:] }
            let logger = loggers[record.label] ?? Logger(label: record.label)
            loggers[record.label] = logger
            var metadata = record.loggerMetadata
            metadata["context"] = context
            logger.log(
                level: level, "\(record.message)", metadata: metadata, source: record.source, file: record.file,
                function: record.function, line: record.line)
        }
    }
}
