import MartletWire
import Synchronization

/// What a task's type can do, found once for each type: decode its arguments, run it, encode what comes of it.
class TaskHandler: @unchecked Sendable {
    /// Decodes, runs and encodes. The result is an `end` payload of ``CallAnswer``.
    nonisolated(nonsending) func run(_ arguments: ArraySlice<UInt8>, in context: RemoteContext) async -> [UInt8] {
        fatalError("abstract")
    }
}

private final class TypedTaskHandler<Task: RemoteTask>: TaskHandler, @unchecked Sendable {
    private let encodeOutput: @Sendable (Task.Output, inout [UInt8]) throws -> Void

    override init() {
        encodeOutput = Self.outputEncoder()
    }

    private static func outputEncoder() -> @Sendable (Task.Output, inout [UInt8]) throws -> Void {
        if Task.Output.self == Void.self { return { _, _ in } }
        func encoder<Value: Encodable & SendableMetatype>(
            for type: Value.Type
        ) -> @Sendable (Task.Output, inout [UInt8]) throws -> Void {
            // `Value` is `Task.Output`, which only the compiler does not know.
            { output, bytes in try CallAnswer.encoder.encode(unsafeBitCast(output, to: Value.self), into: &bytes) }
        }
        if let type = Task.Output.self as? any (Encodable & SendableMetatype).Type { return encoder(for: type) }
        return { _, _ in
            throw EncodingError.invalidValue(
                Task.self,
                .init(codingPath: [], debugDescription: "\(Task.Output.self) is not Codable")
            )
        }
    }

    override nonisolated(nonsending) func run(
        _ arguments: ArraySlice<UInt8>,
        in context: RemoteContext
    ) async -> [UInt8] {
        let task: Task
        do {
            task = try arguments.withUnsafeBytes { bytes in
                try ChannelPassage.with(context.scope.runtime) {
                    try context.scope.runtime.decoder.decode(Task.self, from: bytes)
                }
            }
        } catch {
            return CallAnswer.failure(
                .init(.valueUnusable, "the arguments of \(Task.self) do not decode: \(ErrorText.of(error))"))
        }
        do {
            let output = try await task.run(in: context)
            return CallAnswer.result(of: Task.self, context.scope.runtime) { try encodeOutput(output, &$0) }
        } catch {
            return CallAnswer.thrown(error)
        }
    }
}

/// The tasks of this program, by name, as they are asked for.
enum TaskRegistry {
    private static let handlers = Mutex(Handlers())
    private static let names = Mutex<[ObjectIdentifier: TaskName]>([:])

    /// How a type is called on the wire.
    struct TaskName: Sendable {
        /// What a request for it begins with.
        var requestHead: [UInt8]
    }

    private struct Handlers {
        /// Those that were asked for last, first: comparing a few names costs less than hashing one.
        var recent: [(name: [UInt8], handler: TaskHandler)] = []
        var all: [[UInt8]: TaskHandler] = [:]
        static let recentLimit = 8

        mutating func find(_ name: UnsafeRawBufferPointer) -> TaskHandler? {
            for index in recent.indices where recent[index].name.withUnsafeBytes(name.hasSameBytes) {
                if index > 0 { recent.swapAt(index, index - 1) }
                return recent[max(0, index - 1)].handler
            }
            let name = Array(name)
            guard let handler = all[name] else { return nil }
            if recent.count == Self.recentLimit { recent.removeLast() }
            recent.append((name, handler))
            return handler
        }
    }

    /// The name by which a copy of this program finds `type`.
    ///
    /// - Throws: ``MartletError`` `taskNotRemote` if it could not.
    static func name<Task: RemoteTask>(of type: Task.Type) throws(MartletError) -> TaskName {
        if let name = names.withLock({ $0[ObjectIdentifier(type)] }) { return name }
        guard let text = _mangledTypeName(type), _typeByName(text) == type else {
            throw MartletError(
                .taskNotRemote,
                "\(type) cannot be called in another context: it cannot be found there by its name",
                advice: "make \(type) internal or public and declare it outside of any function"
            )
        }
        let name = TaskName(requestHead: CallRequest.head(named: text))
        names.withLock { $0[ObjectIdentifier(type)] = name }
        return name
    }

    /// The task that a context above asks for. Only ever called for contexts above: whoever names a type here could name
    /// any type of the program.
    static func handler(named name: UnsafeRawBufferPointer) -> TaskHandler? {
        if let handler = handlers.withLock({ $0.find(name) }) { return handler }
        let text = String(decoding: name, as: UTF8.self)
        guard let type = _typeByName(text) as? any RemoteTask.Type else { return nil }
        func make<Task: RemoteTask>(_ type: Task.Type) -> TaskHandler { TypedTaskHandler<Task>() }
        let handler = make(type)
        handlers.withLock { $0.all[Array(name)] = handler }
        return handler
    }
}
