import MartletReactor
import MartletWire

extension Context {
    /// Runs a task in the context and returns its result.
    ///
    /// - Parameter deadline: how long it may take, kept at both ends; `nil`: as long as the context lives.
    /// - Throws: the task's declared `Failure`; else ``MartletError`` with `taskFailed` for any other error that it threw,
    ///   `deadlineExceeded`, `contextLost`, `taskNotRemote`, `valueUnusable`, `limitExceeded`. `CancellationError` if the
    ///   calling task is cancelled: the far task is cancelled too.
    public nonisolated(nonsending) func call<Task: RemoteTask>(
        _ task: Task, deadline: Duration? = nil
    ) async throws -> Task.Output
    where Task.Output: Codable {
        let answer = try await answer(to: task, deadline: deadline)
        let value = try CallAnswer.open(answer, failure: Task.Failure.self, route: route)
        do {
            return try value.withUnsafeBytes { try CBORDecoder().decode(Task.Output.self, from: $0) }
        } catch {
            throw MartletError(
                .valueUnusable, "the result of \(Task.self) does not decode: \(ErrorText.of(error))", route: route)
        }
    }

    /// Runs a task that returns nothing.
    ///
    /// - Throws: as ``call(_:deadline:)`` for tasks with a result.
    public nonisolated(nonsending) func call<Task: RemoteTask>(_ task: Task, deadline: Duration? = nil) async throws
    where Task.Output == Void {
        let answer = try await answer(to: task, deadline: deadline)
        _ = try CallAnswer.open(answer, failure: Task.Failure.self, route: route)
    }

    private nonisolated(nonsending) func answer<Task: RemoteTask>(
        to task: Task,
        deadline: Duration?
    ) async throws -> [UInt8] {
        do {
            let name = try TaskRegistry.name(of: Task.self)
            let milliseconds = deadline.map { $0.clampedMilliseconds } ?? 0
            let request = try CallRequest.encode(task, named: name, deadline: milliseconds)
            return try await send(request, Task.self, deadline: deadline)
        } catch var error as MartletError where error.route.steps.isEmpty {
            error.route = route
            throw error
        }
    }

    private nonisolated(nonsending) func send(
        _ request: [UInt8],
        _ task: any RemoteTask.Type,
        deadline: Duration?
    ) async throws -> [UInt8] {
        let isWhole = request.count <= ContextNode.maximumOpenPayload
        let gate = isWhole ? nil : CreditGate()
        let pending = PendingCall(node, gate: gate)
        let outcome = await withTaskCancellationHandler {
            let first = isWhole ? request : Array(request[..<ContextNode.maximumOpenPayload])
            let flags: FrameHeader.Flags = isWhole ? .last : [.more, .bulk]
            guard let key = node.open(to: address, .call, owner: pending, payload: first, flags: flags) else {
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
            throw MartletError(.deadlineExceeded, "\(task) took longer than \(deadline!)", route: route)
        case .reset(let reason): throw ResetError(reason: reason).error(route, "\(task)")
        }
    }

    /// The round trip to the context's I/O side, which answers even while all its threads are busy.
    ///
    /// - Throws: ``MartletError`` `contextLost`, or `deadlineExceeded` after `deadline` (default: 15 s).
    public func ping(deadline: Duration = .seconds(15)) async throws -> Duration {
        let start = ContinuousClock.now
        let pending = PendingCall(node)
        let outcome = await withTaskCancellationHandler {
            guard node.open(to: address, .echo, owner: pending, payload: [], flags: .last) != nil else {
                return PendingCall.Outcome.reset(.notConnected)
            }
            pending.setDeadline(Reactor.now + deadline.clampedNanoseconds)
            return await pending.outcome()
        } onCancel: {
            pending.abandon(.cancelled)
        }
        switch outcome {
        case .answer: return ContinuousClock.now - start
        case .cancelled: throw CancellationError()
        case .deadlineExceeded: throw MartletError(.deadlineExceeded, "no answer within \(deadline)", route: route)
        case .reset(let reason): throw ResetError(reason: reason).error(route, "ping")
        }
    }
}

extension ResetReason {
    static let notConnected = ResetReason(.contextLost, "the context is not connected any more")
}

extension Duration {
    var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(min(seconds, 1 << 32)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }

    /// At least one: 0 stands for no deadline on the wire.
    var clampedMilliseconds: UInt32 { UInt32(clamping: max(1, clampedNanoseconds / 1_000_000)) }
}
