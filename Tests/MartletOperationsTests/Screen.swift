import Martlet
import MartletOperations
import Synchronization
import Testing

/// Gathers what operations show.
final class Screen: Sendable {
    private let shown = Mutex<[(OutputLine.Pipe, [UInt8])]>([])

    var sink: OutputSink { OutputSink { pipe, bytes in self.shown.withLock { $0.append((pipe, bytes)) } } }
    /// As a setting.
    var setting: Setting { .output(to: sink) }

    var bytes: [UInt8] { shown.withLock { $0.flatMap(\.1) } }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }
    func text(_ pipe: OutputLine.Pipe) -> String {
        String(decoding: shown.withLock { $0.filter { $0.0 == pipe }.flatMap(\.1) }, as: UTF8.self)
    }
    func clear() { shown.withLock { $0 = [] } }
}

/// Gathers values from several tasks.
final class Box<Value: Sendable>: Sendable {
    private let content: Mutex<Value>
    init(_ value: Value) { content = Mutex(value) }
    var value: Value { content.withLock { $0 } }
    func change(_ body: (inout Value) -> Void) { content.withLock { value in body(&value) } }
}

struct PlainFailure: Error, Equatable { var text = "plain" }

/// The operation's error that `body` must throw.
func operationError<R>(
    _ code: OperationError.Code,
    sourceLocation: SourceLocation = #_sourceLocation,
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async throws -> OperationError {
    let error = try await #require(throws: OperationError.self, sourceLocation: sourceLocation) { _ = try await body() }
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    return error
}
