package import MartletWire

/// What comes of a call of an ``Invocable``.
package enum InvocationAnswer {
    package static let nothing = [CallAnswer.success]

    package static func value<Value: Encodable>(_ value: Value, _ runtime: ContextRuntime) -> [UInt8] {
        CallAnswer.result(of: Value.self, runtime) { try CallAnswer.encoder.encode(value, into: &$0) }
    }

    /// An error of the called code, which the caller gets as itself if its own code names the type.
    package static func thrown(_ error: any Error) -> [UInt8] { CallAnswer.thrown(error, isNamed: true) }

    /// An error of ours.
    package static func failed(_ error: MartletError) -> [UInt8] { CallAnswer.failure(error) }

    /// The result in an answer.
    ///
    /// - Parameter errors: those that the caller's own code names; nothing else is decoded.
    /// - Throws: one of `errors`, ``MartletError``.
    package static func open(
        _ answer: [UInt8], errors: [any Error.Type], route: Route
    ) throws -> ArraySlice<UInt8> {
        try CallAnswer.open(answer, route: route) { report in
            (errors + [MartletError.self]).first { _mangledTypeName($0) == report.name }
        }
    }
}

/// Values on their way to an ``Invocable``: each with its length, 4 bytes, in front. They may hold ends of channels.
package struct InvocationArguments: Sendable {
    package private(set) var bytes: [UInt8] = []
    private(set) var tokens: [ChannelToken] = []

    package init() {}

    package mutating func append<Value: Encodable>(_ value: Value, _ runtime: ContextRuntime) throws {
        let start = bytes.count
        bytes += [0, 0, 0, 0]
        do {
            var tokens: [ChannelToken] = []
            try ChannelPassage.with(runtime, &tokens) { try CallAnswer.encoder.encode(value, into: &bytes) }
            self.tokens += tokens
        } catch {
            drop(runtime)
            if let error = error as? MartletError { throw error }
            throw MartletError(
                .valueUnusable, "an argument of type \(Value.self) does not encode: \(ErrorText.of(error))")
        }
        let count = UInt32(clamping: bytes.count - start - 4)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: count.bigEndian, toByteOffset: start, as: UInt32.self) }
    }

    /// The same with something else in front.
    package func behind(_ head: [UInt8]) -> InvocationArguments {
        var copy = self
        copy.bytes = head + bytes
        return copy
    }

    /// They are not sent after all.
    package func drop(_ runtime: ContextRuntime) { runtime.channels.abandon(tokens, after: 0, runtime.reactor) }

    /// Takes the next value off `bytes`.
    ///
    /// - Throws: ``MartletError`` `protocolViolation`, `valueUnusable`.
    package static func take<Value: Decodable>(
        _ type: Value.Type, from bytes: inout ArraySlice<UInt8>, _ runtime: ContextRuntime
    ) throws -> Value {
        guard bytes.count >= 4 else { throw MartletError(.protocolViolation, "an argument is missing") }
        let count = Int(bytes.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self)) })
        bytes = bytes.dropFirst(4)
        guard count <= bytes.count else { throw MartletError(.protocolViolation, "an argument is cut off") }
        let value = bytes.prefix(count)
        bytes = bytes.dropFirst(count)
        do { return try runtime.decode(type, from: value) } catch {
            throw MartletError(.valueUnusable, "an argument is no \(type): \(ErrorText.of(error))")
        }
    }
}

extension ContextRuntime {
    /// Decodes what came from another context.
    package func decode<Value: Decodable>(_ type: Value.Type, from bytes: ArraySlice<UInt8>) throws -> Value {
        try bytes.withUnsafeBytes { bytes in
            try ChannelPassage.with(self) { try decoder.decode(type, from: bytes) }
        }
    }

    /// Whether a value that this thread encodes or decodes now is on its way to or from another context.
    package static var isPassing: Bool { ChannelPassage.runtime != nil }

    /// Calls what another context, wherever it is, lets those call who have its token.
    ///
    /// - Parameter subject: what is called, for errors.
    /// - Returns: what ``InvocationAnswer/open(_:errors:route:)`` takes.
    /// - Throws: ``MartletError`` `refused` if there is nothing of that token, `deadlineExceeded`, `contextLost`,
    ///   `limitExceeded`; `CancellationError`. Each tells the route.
    package nonisolated(nonsending) func invoke(
        _ token: ChannelToken, at address: ContextAddress, _ target: String, _ arguments: InvocationArguments,
        subject: String, deadline: Duration?
    ) async throws -> [UInt8] {
        let context = Context(below: self, address)
        guard target.utf8.count < 1 << 15 else { throw MartletError(.misuse, "a name of \(target.utf8.count) bytes") }
        let headers = CallHeaders(trace: configuration.instrumentType?.outgoing())
        var grace = ChannelOffers.grace
        defer { channels.abandon(arguments.tokens, after: grace, reactor) }
        do {
            let request = try CallRequest.encode(
                encoded: arguments.bytes, of: subject, head: CallRequest.head(named: target),
                deadline: deadline.map(\.clampedMilliseconds) ?? 0, headers: headers)
            return try await context.send(token.bytes + request, subject, deadline: deadline, as: .invoke)
        } catch let error as MartletError {
            if error.code == .contextLost { grace = 0 }
            throw error
        }
    }

    /// How a context anywhere in the tree is called, as far as this one knows.
    package func route(anywhere address: ContextAddress) -> Route {
        if address == node.address { return route }
        if node.address.isAncestor(of: address) { return route(to: address) }
        return Route(steps: address.isRoot ? [] : ["\(address)"])
    }

    /// What a task of this context's own would get.
    package var remoteContext: RemoteContext {
        RemoteContext(contextID: node.address, callerID: node.address, route: route, scope: self)
    }
}
