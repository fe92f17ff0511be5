import MartletWire

/// The `open` payload of a call, behind the stream's kind: the deadline in milliseconds (big-endian 32 bits, 0 for none),
/// the length of the task's name (16 bits, of which the highest says that there are headers), the name, the length of the
/// headers (16 bits) and the headers as CBOR if there are any, the arguments as CBOR.
struct CallRequest {
    /// 0: none.
    var milliseconds: UInt32
    /// Where the task's name, the headers and the arguments are.
    var name: Range<Int>
    var headers: Range<Int>?
    var arguments: Range<Int>

    private static let headCount = 6
    private static let headersFlag: UInt8 = 0x80
    static let maximumHeaders = 32 * 1024

    /// Takes a request apart; `nil` if it is none.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headCount else { return nil }
        milliseconds = bytes.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self)) }
        let middle = Self.headCount + (Int(bytes[4] & ~Self.headersFlag) << 8 | Int(bytes[5]))
        guard bytes.count >= middle else { return nil }
        name = Self.headCount..<middle
        arguments = middle..<bytes.count
        guard bytes[4] & Self.headersFlag != 0 else { return }
        guard bytes.count >= middle + 2 else { return nil }
        let end = middle + 2 + (Int(bytes[middle]) << 8 | Int(bytes[middle + 1]))
        guard bytes.count >= end else { return nil }
        headers = middle + 2..<end
        arguments = end..<bytes.count
    }

    /// What all requests for one task that has no deadline begin with.
    static func head(named name: String) -> [UInt8] {
        let name = name.utf8
        return [0, 0, 0, 0, UInt8(truncatingIfNeeded: name.count >> 8), UInt8(truncatingIfNeeded: name.count)] + name
    }

    static func encode<Task: RemoteTask>(
        _ task: Task,
        named name: TaskRegistry.TaskName,
        deadline milliseconds: UInt32,
        headers: CallHeaders
    ) throws(MartletError) -> [UInt8] {
        try encode(task, head: name.requestHead, deadline: milliseconds, headers: headers)
    }

    /// - Parameter head: as ``head(named:)`` makes it.
    static func encode<Arguments: Encodable>(
        _ arguments: Arguments,
        head: [UInt8],
        deadline milliseconds: UInt32,
        headers: CallHeaders
    ) throws(MartletError) -> [UInt8] {
        var bytes = try begin(head, deadline: milliseconds, headers: headers)
        do {
            try CallAnswer.encoder.encode(arguments, into: &bytes)
        } catch let error as MartletError {
            throw error
        } catch {
            throw MartletError(
                .valueUnusable, "the arguments of \(Arguments.self) do not encode: \(ErrorText.of(error))")
        }
        try check(bytes.count, Arguments.self)
        return bytes
    }

    /// The same with arguments that are encoded already.
    ///
    /// - Parameter subject: what is called, for errors.
    static func encode(
        encoded arguments: [UInt8], of subject: String, head: [UInt8], deadline milliseconds: UInt32,
        headers: CallHeaders
    ) throws(MartletError) -> [UInt8] {
        let bytes = try begin(head, deadline: milliseconds, headers: headers) + arguments
        try check(bytes.count, subject)
        return bytes
    }

    private static func check(_ count: Int, _ subject: Any) throws(MartletError) {
        guard count <= MessageAssembly.limit else {
            throw MartletError(.limitExceeded, "\(subject) is \(ResetReason.valueTooLarge.message)")
        }
    }

    /// All that stands before the arguments.
    private static func begin(
        _ head: [UInt8], deadline milliseconds: UInt32, headers: CallHeaders
    ) throws(MartletError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(head.count + 128)
        bytes += head
        if milliseconds > 0 {
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: milliseconds.bigEndian, as: UInt32.self) }
        }
        guard !headers.isEmpty else { return bytes }
        let encoded: [UInt8]
        do { encoded = try CBOREncoder().encode(headers) } catch {
            throw MartletError(.valueUnusable, "the headers of a call do not encode: \(ErrorText.of(error))")
        }
        guard encoded.count <= Self.maximumHeaders else {
            throw MartletError(.limitExceeded, "the baggage of the call is \(encoded.count) bytes")
        }
        bytes[4] |= Self.headersFlag
        bytes += [UInt8(encoded.count >> 8), UInt8(truncatingIfNeeded: encoded.count)] + encoded
        return bytes
    }
}

/// The `end` payload of a call: a byte that tells what came of it, then CBOR.
enum CallAnswer {
    /// The result follows; nothing for `Void`.
    static let success: UInt8 = 0
    /// A ``MartletError`` follows, made by the far runtime.
    static let failed: UInt8 = 1
    /// A ``ThrownError`` follows, thrown by the task.
    static let thrown: UInt8 = 2

    /// Values may be of any size here: what is too large for a message is refused as such.
    static let encoder = CBOREncoder(limits: CBORLimits(maximumByteCount: .max))

    struct ThrownError: Codable {
        /// For people only: the caller never looks a type up by it.
        var type: String
        var message: String
        /// The error itself, if it is `Codable`.
        var value: [UInt8]?
        /// The type's mangled name, where the caller's code names several: it is only compared.
        var name: String?
        /// Where it was thrown, if whoever gets it does not know that.
        var route: Route?
    }

    static func failure(_ error: MartletError) -> [UInt8] {
        var bytes: [UInt8] = [failed]
        try? CBOREncoder().encode(error, into: &bytes)
        return bytes
    }

    /// - Parameters:
    ///   - isNamed: whether the caller needs the type's name.
    ///   - route: where it was thrown, if the caller needs that.
    static func thrown(_ error: any Error, isNamed: Bool = false, at route: Route? = nil) -> [UInt8] {
        var report = ThrownError(type: "\(type(of: error))", message: ErrorText.of(error), route: route)
        if let value = error as? any Encodable { report.value = try? CBOREncoder().encode(value) }
        if isNamed { report.name = _mangledTypeName(type(of: error)) }
        var bytes: [UInt8] = [thrown]
        try? CBOREncoder().encode(report, into: &bytes)
        return bytes
    }

    /// A result, or why it cannot be sent.
    static func result(
        of subject: Any.Type, _ runtime: ContextRuntime, _ encode: (inout [UInt8]) throws -> Void
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64)
        bytes.append(success)
        do {
            var tokens: [ChannelToken] = []
            try ChannelPassage.with(runtime, &tokens) { try encode(&bytes) }
            // The caller takes them as soon as it has all of the answer, if it still wants it.
            if !tokens.isEmpty {
                let grace = ChannelOffers.grace * UInt64(1 + bytes.count / FrameHeader.maximumPayload)
                runtime.channels.abandon(tokens, after: grace, runtime.reactor)
            }
        } catch {
            return failure(.init(.valueUnusable, "the result of \(subject) does not encode: \(ErrorText.of(error))"))
        }
        return bytes
    }

    /// An error of which only the type's name and the text are told.
    static func thrownText(_ error: any Error) -> [UInt8] {
        var bytes: [UInt8] = [thrown]
        try? CBOREncoder().encode(ThrownError(type: "\(type(of: error))", message: ErrorText.of(error)), into: &bytes)
        return bytes
    }

    /// The error in an answer, in words; `nil` if it is a result.
    static func failureText(_ bytes: [UInt8]) -> String? {
        do { _ = try open(bytes, failure: (any Error).self, route: Route()) } catch {
            return (error as? MartletError)?.message ?? ErrorText.of(error)
        }
        return nil
    }

    /// What the caller gets: the result's bytes, or the error to throw.
    ///
    /// - Parameter failure: the error type that the caller's own code names for the task; nothing else is decoded.
    static func open(_ bytes: [UInt8], failure: any Error.Type, route: Route) throws -> ArraySlice<UInt8> {
        try open(bytes, route: route) { _ in failure }
    }

    /// - Parameter failure: the error type that the caller's own code names for that report, if any.
    static func open(
        _ bytes: [UInt8], route: Route, failure: (ThrownError) -> (any Error.Type)?
    ) throws -> ArraySlice<UInt8> {
        switch bytes.first {
        case success: return bytes.dropFirst()
        case failed:
            var error = try decode(MartletError.self, bytes, route)
            if error.route.steps.isEmpty { error.route = route }
            throw error
        case thrown:
            let report = try decode(ThrownError.self, bytes, route)
            if let value = report.value, let type = failure(report) as? any (Error & Decodable).Type {
                throw try CBORDecoder().decodeError(type, from: value)
            }
            throw MartletError(.taskFailed, report.message, route: report.route ?? route, remoteType: report.type)
        default: throw MartletError(.protocolViolation, "the answer to a call cannot be read", route: route)
        }
    }

    /// A task's result, or its error.
    static func decode<Task: RemoteTask>(_ bytes: [UInt8], of task: Task, over context: Context) throws -> Task.Output
    where Task.Output: Decodable {
        try decode(bytes, Task.self, failure: Task.Failure.self, over: context)
    }

    /// - Parameter subject: what was called, for errors.
    static func decode<Output: Decodable>(
        _ bytes: [UInt8], _ subject: any Sendable, failure: any Error.Type, over context: Context
    ) throws -> Output {
        let value = try open(bytes, failure: failure, route: context.route)
        do {
            return try value.withUnsafeBytes { bytes in
                try ChannelPassage.with(context.runtime) {
                    try context.runtime.decoder.decode(Output.self, from: bytes)
                }
            }
        } catch {
            throw MartletError(
                .valueUnusable, "the result of \(subject) does not decode: \(ErrorText.of(error))",
                route: context.route)
        }
    }

    private static func decode<T: Decodable>(_ type: T.Type, _ bytes: [UInt8], _ route: Route) throws -> T {
        do {
            return try bytes.withUnsafeBytes { bytes in
                try CBORDecoder().decode(type, from: UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
            }
        } catch {
            throw MartletError(.protocolViolation, "the far side's error cannot be read: \(error)", route: route)
        }
    }
}

extension CBORDecoder {
    fileprivate func decodeError<E: Error & Decodable>(_ type: E.Type, from bytes: [UInt8]) throws -> any Error {
        try decode(type, from: bytes)
    }
}
