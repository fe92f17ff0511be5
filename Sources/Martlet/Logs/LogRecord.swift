import Logging
import MartletWire

/// A log record on its way to the controller: one message of a `log` stream.
struct LogRecord: Codable, Sendable {
    var level: String
    var label: String
    var message: String
    var metadata: CBORValue?
    var source: String
    var file: String
    var function: String
    var line: UInt

    /// Longer texts are cut, in bytes.
    static let textLimit = 16 * 1024
    /// How deep metadata is carried.
    static let depthLimit = 8

    init(_ event: LogEvent, label: String, metadata: Logger.Metadata) {
        level = event.level.rawValue
        self.label = Self.cut(label, 1024)
        message = Self.cut("\(event.message)", Self.textLimit)
        var metadata = metadata
        if let error = event.error { metadata["error"] = "\(ErrorText.of(error))" }
        self.metadata = metadata.isEmpty ? nil : Self.value(.dictionary(metadata), 0)
        source = Self.cut(event.source, 1024)
        file = Self.cut(event.file, 1024)
        function = Self.cut(event.function, 1024)
        line = event.line
    }

    /// The bytes, with less of the record if all of it does not fit into one message.
    var bytes: [UInt8] {
        var record = self
        if let bytes = try? CBOREncoder().encode(record), bytes.count <= FrameHeader.maximumPayload { return bytes }
        record.metadata = .map([.init(.text("martlet"), .text("the metadata was too large to be sent"))])
        return (try? CBOREncoder().encode(record)) ?? []
    }

    private static func cut(_ text: String, _ limit: Int) -> String {
        text.utf8.count <= limit ? text : String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "…"
    }

    private static func value(_ value: Logger.Metadata.Value, _ depth: Int) -> CBORValue {
        guard depth < depthLimit else { return .text("…") }
        switch value {
        case .string(let text): return .text(cut(text, textLimit))
        case .stringConvertible(let other): return .text(cut("\(other)", textLimit))
        case .array(let values): return .array(values.map { Self.value($0, depth + 1) })
        case .dictionary(let values):
            let sorted = values.sorted { $0.key < $1.key }
            return .map(sorted.map { .init(.text(cut($0.key, 1024)), Self.value($0.value, depth + 1)) })
        }
    }

    /// What a record from another context says, as metadata.
    var loggerMetadata: Logger.Metadata {
        guard let metadata, case .dictionary(let values) = Self.metadata(metadata, 0) else { return [:] }
        return values
    }

    private static func metadata(_ value: CBORValue, _ depth: Int) -> Logger.Metadata.Value {
        switch value {
        case .text(let text): return .string(text)
        case .array(let values) where depth <= depthLimit: return .array(values.map { metadata($0, depth + 1) })
        case .map(let pairs) where depth <= depthLimit:
            var result: Logger.Metadata = [:]
            for pair in pairs {
                if case .text(let key) = pair.key { result[key] = metadata(pair.value, depth + 1) }
            }
            return .dictionary(result)
        default: return .string("\(value)")
        }
    }
}
