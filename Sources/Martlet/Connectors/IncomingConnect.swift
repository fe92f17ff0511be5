import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// The `open` payload of a connect: a context above wants a child of this one.
struct ConnectRequest: Codable, Sendable {
    /// The connector's type, found as a task's is.
    var type: String
    /// The connector itself.
    var connector: [UInt8]
    var options: ConnectOptions
    /// Somebody there answers prompts.
    var mayAsk: Bool?
}

/// A `data` message of a connect, to the context above: a phase is over, the child has a number (which is told before anything
/// comes from it), or something is asked.
struct ConnectProgress: Codable, Sendable {
    var phase: ConnectPhase?
    var microseconds: UInt64?
    var child: UInt32?
    var prompt: Prompt?
}

/// A `data` message of a connect, from the context above: the answer to the prompt that came last.
struct ConnectAnswer: Codable, Sendable {
    /// `nil`: refused.
    var answer: Secret?
    /// Why there is none.
    var failure: String?
}

/// The `end` payload of a connect.
struct ConnectEnd: Codable, Sendable {
    struct Child: Codable, Sendable {
        var number: UInt32
        var facts: Facts
        var timings: ConnectTimings
    }

    var child: Child?
    var failure: MartletError?
}

/// The side of a connect where the child is started.
final class IncomingConnect: AcceptedStreamOwner {
    private let key: StreamKey
    private let request: ConnectRequest
    private let runtime: ContextRuntime
    private let state = Mutex(State())

    private struct State {
        var task: Task<Void, Never>?
        var isOver = false
        /// Of the prompt that is under way; there is one at a time.
        var answer: UnsafeContinuation<ConnectAnswer, Never>?
    }

    init(_ key: StreamKey, _ request: ConnectRequest, _ runtime: ContextRuntime) {
        self.key = key
        self.request = request
        self.runtime = runtime
    }

    func begin() {
        // As with a call, nobody here waits for it: the stream's other end does.
        let task = Task(executorPreference: runtime.reactor) { [self] in
            let end = await connect()
            let isWanted = runtime.node.sendEnd(key, (try? CBOREncoder().encode(end)) ?? [])
            // Who asked has gone meanwhile: nobody else knows the child.
            if !isWanted, let number = end.child?.number, let child = runtime.child(number) {
                await child.close(within: 2_000_000_000)
            }
        }
        let isOver = state.withLock { state in
            state.task = task
            return state.isOver
        }
        if isOver { task.cancel() }
    }

    private func connect() async -> ConnectEnd {
        do {
            // Only a context above gets here: it may run anything of this program anyway.
            guard let type = _typeByName(request.type) as? any Connector.Type else {
                throw MartletError(
                    .taskNotRemote, "this context's program has no connector \(request.type)", route: runtime.route)
            }
            let connector = try CBORDecoder().decode(type, from: request.connector)
            let asking: PromptAnswering? = request.mayAsk == true ? { @Sendable [self] in try await ask($0) } : nil
            let success = try await runtime.connect(connector, request.options, ask: asking) { [self] number in
                tell(ConnectProgress(child: number))
            } onProgress: { [self] phase, duration in
                tell(ConnectProgress(phase: phase, microseconds: duration.clampedNanoseconds / 1000))
            }
            return ConnectEnd(
                child: .init(number: success.number, facts: success.hello.facts, timings: success.timings)
            )
        } catch let error as MartletError {
            return ConnectEnd(failure: error)
        } catch {
            return ConnectEnd(failure: MartletError(.connectorFailed, "\(error)", route: runtime.route))
        }
    }

    @discardableResult
    private func tell(_ progress: ConnectProgress) -> Bool {
        guard let bytes = try? CBOREncoder().encode(progress) else { return false }
        guard case .sent = bytes.withUnsafeBytes({ runtime.node.sendData(key, $0) }) else { return false }
        return true
    }

    /// Asks the context above.
    private func ask(_ prompt: Prompt) async throws -> Secret? {
        let answer = await withUnsafeContinuation { continuation in
            let isAskable = state.withLock { state in
                guard !state.isOver, state.answer == nil else { return false }
                state.answer = continuation
                return true
            }
            guard isAskable else { return continuation.resume(returning: .init(failure: "nobody is there to answer")) }
            if !tell(ConnectProgress(prompt: prompt)) { answered(.init(failure: "the prompt could not be passed on")) }
        }
        if let failure = answer.failure { throw MartletError(.promptRefused, failure, route: runtime.route) }
        return answer.answer
    }

    private func answered(_ answer: ConnectAnswer) {
        let waiter = state.withLock { state in
            defer { state.answer = nil }
            return state.answer
        }
        waiter?.resume(returning: answer)
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        guard kind == .data else { return }
        if let answer = try? CBORDecoder().decode(ConnectAnswer.self, from: payload) { answered(answer) }
        runtime.node.consumed(key, payload: payload.count)
    }

    func wasReset(_ reason: ResetReason) {
        let task = state.withLock { state in
            state.isOver = true
            return state.task
        }
        task?.cancel()
        answered(.init(failure: "who was to answer has gone"))
    }
}

/// Ends a child when a context above asks for it; answers when it is gone.
final class IncomingDisconnect: AcceptedStreamOwner {
    /// The `open` payload.
    struct Request: Codable, Sendable {
        var number: UInt32
        /// In milliseconds.
        var limit: UInt32
        /// It lets what was sent arrive first.
        var drains: Bool?
    }

    private let key: StreamKey
    private let request: Request
    private let runtime: ContextRuntime

    init(_ key: StreamKey, _ request: Request, _ runtime: ContextRuntime) {
        self.key = key
        self.request = request
        self.runtime = runtime
    }

    func begin() {
        // Whether or not the asker waits, the child ends: the task has its own limit.
        Task(executorPreference: runtime.reactor) { [self] in
            await runtime.child(request.number)?.close(
                within: UInt64(request.limit) * 1_000_000, drains: request.drains ?? false)
            runtime.node.sendEnd(key)
        }
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func wasReset(_ reason: ResetReason) {}
}
