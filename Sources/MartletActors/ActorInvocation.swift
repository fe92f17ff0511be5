public import Distributed
import Martlet
import Synchronization

/// How a call of an actor is written. Swift's run-time uses it.
public struct ActorInvocationEncoder: DistributedTargetInvocationEncoder {
    /// What may be passed.
    public typealias SerializationRequirement = any Codable

    private let system: MartletActorSystem
    private var substitutions: [String] = []
    private var arguments = InvocationArguments()

    init(_ system: MartletActorSystem) { self.system = system }

    /// The types of a generic call: how many (1 byte), each with its length (2 bytes); then the arguments.
    var request: InvocationArguments {
        var head = [UInt8(substitutions.count)]
        for name in substitutions {
            head += [UInt8(truncatingIfNeeded: name.utf8.count >> 8), UInt8(truncatingIfNeeded: name.utf8.count)]
            head += name.utf8
        }
        return arguments.behind(head)
    }

    /// Notes a type of a generic call.
    ///
    /// - Throws: ``MartletError`` `taskNotRemote` if the far side could not find it by its name.
    public mutating func recordGenericSubstitution<T>(_ type: T.Type) throws {
        guard let name = _mangledTypeName(type), name.utf8.count < 1 << 16, _typeByName(name) == type,
            substitutions.count < 255
        else {
            throw MartletError(
                .taskNotRemote, "\(type) cannot be found in another context by its name",
                advice: "make \(type) internal or public and declare it outside of any function")
        }
        substitutions.append(name)
    }

    /// Encodes an argument.
    ///
    /// - Throws: ``MartletError`` `valueUnusable`, `contextLost`.
    public mutating func recordArgument<Value: Codable>(_ argument: RemoteCallArgument<Value>) throws {
        try arguments.append(argument.value, system.runtime)
    }

    /// The far side knows.
    public mutating func recordReturnType<Result: Codable>(_ type: Result.Type) throws {}
    /// The far side knows.
    public mutating func recordErrorType<Failure: Error>(_ type: Failure.Type) throws {}
    /// Nothing is left to be done.
    public mutating func doneRecording() throws {}
}

/// How a call of an actor is read. Swift's run-time uses it.
public struct ActorInvocationDecoder: DistributedTargetInvocationDecoder {
    /// What may be passed.
    public typealias SerializationRequirement = any Codable

    private let runtime: ContextRuntime
    private let isFromAbove: Bool
    private var names: [String] = []
    private var rest: ArraySlice<UInt8>

    init(_ invocation: Invocation) throws {
        runtime = invocation.runtime
        isFromAbove = invocation.isFromAbove
        rest = invocation.arguments
        let unreadable = MartletError(.protocolViolation, "a call of an actor that cannot be read")
        guard let count = rest.popFirst() else { throw unreadable }
        for _ in 0..<count {
            guard let high = rest.popFirst(), let low = rest.popFirst() else { throw unreadable }
            let length = Int(high) << 8 | Int(low)
            guard length <= rest.count else { throw unreadable }
            names.append(String(decoding: rest.prefix(length), as: UTF8.self))
            rest = rest.dropFirst(length)
        }
    }

    /// The types of a generic call.
    ///
    /// - Throws: ``MartletError`` `refused` if the caller may not name types here, `taskNotRemote` for one that this program
    ///   does not have.
    public mutating func decodeGenericSubstitutions() throws -> [any Any.Type] {
        guard isFromAbove else {
            throw MartletError(.refused, "only a context above may call what is generic, as that names types")
        }
        return try names.map { name in
            guard let type = _typeByName(name) else {
                throw MartletError(.taskNotRemote, "this context's program has no type \(name)")
            }
            return type
        }
    }

    /// The next argument.
    ///
    /// - Throws: ``MartletError`` `valueUnusable`, `protocolViolation`.
    public mutating func decodeNextArgument<Argument: Codable>() throws -> Argument {
        try InvocationArguments.take(Argument.self, from: &rest, runtime)
    }

    /// This program knows.
    public mutating func decodeReturnType() throws -> (any Any.Type)? { nil }
    /// This program knows.
    public mutating func decodeErrorType() throws -> (any Any.Type)? { nil }
}

/// Takes what comes of a call here. Swift's run-time uses it.
public final class ActorResultHandler: DistributedTargetInvocationResultHandler, Sendable {
    /// What may be returned.
    public typealias SerializationRequirement = any Codable

    private let runtime: ContextRuntime
    private let result = Mutex<[UInt8]?>(nil)

    init(_ runtime: ContextRuntime) { self.runtime = runtime }

    /// As it is sent.
    var answer: [UInt8] {
        result.withLock { $0 } ?? InvocationAnswer.failed(MartletError(.protocolViolation, "nothing came of the call"))
    }

    private func set(_ answer: [UInt8]) { result.withLock { if $0 == nil { $0 = answer } } }

    /// Encodes a result.
    public func onReturn<Success: Codable>(value: Success) async throws {
        set(InvocationAnswer.value(value, runtime))
    }

    /// There is nothing to return.
    public func onReturnVoid() async throws { set(InvocationAnswer.nothing) }

    /// Encodes what the method threw.
    public func onThrow<Failure: Error>(error: Failure) async throws { set(InvocationAnswer.thrown(error)) }

    /// It was not called.
    func failed(_ error: any Error) {
        set(
            InvocationAnswer.failed(
                error as? MartletError ?? MartletError(.valueUnusable, "the call could not be made: \(error)")))
    }
}
