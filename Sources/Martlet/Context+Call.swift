import MartletReactor
import MartletWire

extension Context {
    /// Runs a task in the context and returns its result.
    ///
    /// - Parameters:
    ///   - deadline: how long it may take, kept at both ends; `nil`: as long as the context lives.
    ///   - output: gets what the task prints to the C library's standard output and error, line by line; the channel is
    ///     finished when the task ends. Not what it writes to the descriptors directly, nor what programs print: that
    ///     belongs to the context. `nil`: what the task prints is the context's output too.
    /// - Throws: the task's declared `Failure`; else ``MartletError`` with `taskFailed` for any other error that it threw,
    ///   `deadlineExceeded`, `contextLost`, `taskNotRemote`, `valueUnusable`, `limitExceeded`. `CancellationError` if the
    ///   calling task is cancelled: the far task is cancelled too.
    public nonisolated(nonsending) func call<Task: RemoteTask>(
        _ task: Task, deadline: Duration? = nil, output: ChannelEnd<OutputLine, Never>? = nil
    ) async throws -> Task.Output
    where Task.Output: Codable {
        guard let instrument = runtime.configuration.instrument else {
            return try await result(of: task, deadline, output)
        }
        return try await instrument.call(Task.self, route) { try await result(of: task, deadline, output) }
    }

    /// Runs a task that returns nothing.
    ///
    /// - Throws: as ``call(_:deadline:output:)`` for tasks with a result.
    public nonisolated(nonsending) func call<Task: RemoteTask>(
        _ task: Task, deadline: Duration? = nil, output: ChannelEnd<OutputLine, Never>? = nil
    ) async throws
    where Task.Output == Void {
        guard let instrument = runtime.configuration.instrument else { return try await run(task, deadline, output) }
        return try await instrument.call(Task.self, route) { try await run(task, deadline, output) }
    }

    private nonisolated(nonsending) func result<Task: RemoteTask>(
        of task: Task, _ deadline: Duration?, _ output: ChannelEnd<OutputLine, Never>?
    ) async throws -> Task.Output
    where Task.Output: Codable {
        let answer = try await answer(to: task, deadline: deadline, output)
        return try CallAnswer.decode(answer, of: task, over: self)
    }

    private nonisolated(nonsending) func run<Task: RemoteTask>(
        _ task: Task, _ deadline: Duration?, _ output: ChannelEnd<OutputLine, Never>?
    ) async throws
    where Task.Output == Void {
        let answer = try await answer(to: task, deadline: deadline, output)
        _ = try CallAnswer.open(answer, failure: Task.Failure.self, route: route)
    }

    private nonisolated(nonsending) func answer<Task: RemoteTask>(
        to task: Task,
        deadline: Duration?,
        _ output: ChannelEnd<OutputLine, Never>?
    ) async throws -> [UInt8] {
        do {
            let head = try TaskRegistry.name(of: Task.self).requestHead
            return try await answer(to: task, head, Task.self, deadline: deadline, output)
        } catch var error as MartletError where error.route.steps.isEmpty {
            error.route = route
            throw error
        }
    }

    private nonisolated(nonsending) func answer<Arguments: Encodable>(
        to arguments: Arguments,
        _ head: [UInt8],
        _ subject: any Sendable,
        deadline: Duration?,
        _ output: ChannelEnd<OutputLine, Never>?
    ) async throws -> [UInt8] {
        let milliseconds = deadline.map { $0.clampedMilliseconds } ?? 0
        let headers = CallHeaders(trace: runtime.configuration.instrumentType?.outgoing(), output: output)
        var tokens: [ChannelToken] = []
        let request = try ChannelPassage.with(runtime, &tokens) {
            try CallRequest.encode(arguments, head: head, deadline: milliseconds, headers: headers)
        }
        guard !tokens.isEmpty else { return try await send(request, subject, deadline: deadline) }
        // Ends that the task has not taken when it is over will not be taken; but claims may be under way.
        var grace = ChannelOffers.grace
        defer { runtime.channels.abandon(tokens, after: grace, node.reactor) }
        do { return try await send(request, subject, deadline: deadline) } catch let error as MartletError {
            if error.code == .contextLost { grace = 0 }
            throw error
        }
    }

    /// Calls what a runtime other than ours knows by a name.
    ///
    /// - Parameter failure: what an error of the far code is decoded as.
    /// - Throws: a `Failure`; else as ``call(_:deadline:output:)``.
    package nonisolated(nonsending) func call<Arguments: Encodable, Output: Decodable, Failure: Error & Decodable>(
        named name: String, _ arguments: Arguments, deadline: Duration?, returning: Output.Type, failure: Failure.Type
    ) async throws -> Output {
        do {
            guard name.utf8.count < 1 << 15 else { throw MartletError(.misuse, "a name of \(name.utf8.count) bytes") }
            let answer = try await answer(to: arguments, CallRequest.head(named: name), name, deadline: deadline, nil)
            return try CallAnswer.decode(answer, name, failure: failure, over: self)
        } catch var error as MartletError where error.route.steps.isEmpty {
            error.route = route
            throw error
        }
    }

    /// Hands a task over to the context and does not wait for it. If it fails, the context logs that, by swift-log's logger
    /// `martlet` at level error. It is cancelled when the context ends, not when the caller is.
    ///
    /// - Throws: ``MartletError`` `contextLost`, `taskNotRemote`, `valueUnusable`, `limitExceeded` if it cannot be handed
    ///   over; `CancellationError`.
    public nonisolated(nonsending) func post<Task: RemoteTask>(_ task: Task) async throws {
        do {
            let name = try TaskRegistry.name(of: Task.self)
            let headers = CallHeaders(trace: runtime.configuration.instrumentType?.outgoing(), isPosted: true)
            var tokens: [ChannelToken] = []
            let request = try ChannelPassage.with(runtime, &tokens) {
                try CallRequest.encode(task, named: name, deadline: 0, headers: headers)
            }
            defer { if !tokens.isEmpty { runtime.channels.abandon(tokens, node.reactor) } }
            // The context says when it has it all: at once.
            let answer = try await send(request, Task.self, deadline: nil)
            _ = try CallAnswer.open(answer, failure: (any Error).self, route: route)
        } catch var error as MartletError where error.route.steps.isEmpty {
            error.route = route
            throw error
        }
    }

    nonisolated(nonsending) func send(
        _ request: [UInt8],
        _ subject: any Sendable,
        deadline: Duration?,
        as kind: StreamKind = .call
    ) async throws -> [UInt8] {
        let isWhole = request.count <= ContextNode.maximumOpenPayload
        let gate = isWhole ? nil : CreditGate()
        let pending = PendingCall(node, gate: gate)
        let outcome = await withTaskCancellationHandler {
            let first = isWhole ? request : Array(request[..<ContextNode.maximumOpenPayload])
            let flags: FrameHeader.Flags = isWhole ? .last : [.more, .bulk]
            guard let key = node.open(to: address, kind, owner: pending, payload: first, flags: flags) else {
                return PendingCall.Outcome.reset(.notConnected)
            }
            if let deadline { pending.setDeadline(Reactor.now + deadline.clampedNanoseconds) }
            if let gate {
                pending.endIfAbandoned()
                _ = await node.sendMessage(key, request, from: first.count, end: true, gate: gate)
            }
            return await pending.outcome()
        } onCancel: {
            pending.abandon(.cancelled)
        }
        switch outcome {
        case .answer(let bytes): return bytes
        case .cancelled: throw CancellationError()
        case .deadlineExceeded:
            throw MartletError(.deadlineExceeded, "\(subject) took longer than \(deadline!)", route: route)
        case .reset(let reason): throw ResetError(reason: reason).error(route, "\(subject)")
        }
    }

    /// The round trip to the context's I/O side, which answers even while all its threads are busy.
    ///
    /// - Throws: ``MartletError`` `contextLost`, or `deadlineExceeded` after `deadline` (default: 15 s).
    public func ping(deadline: Duration = .seconds(15)) async throws -> Duration {
        let start = ContinuousClock.now
        _ = try await ask(.echo, [], "a ping", deadline)
        return ContinuousClock.now - start
    }
}

extension ResetReason {
    static let notConnected = ResetReason(.contextLost, "the context is not connected any more")
}

extension Duration {
    /// Never negative, and at most 2³² s: other contexts may claim durations with which one cannot calculate.
    var clamped: Duration { min(max(self, .zero), .seconds(1 << 32)) }

    package var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = clamped.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(min(seconds, 1 << 32)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }

    /// At least one: 0 stands for no deadline on the wire.
    var clampedMilliseconds: UInt32 { UInt32(clamping: max(1, clampedNanoseconds / 1_000_000)) }
}
