import Logging
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// The called side's end of a call: gathers the arguments, runs the task, answers.
final class IncomingCall: AcceptedStreamOwner {
    private let scope: any ContextScope
    private let key: StreamKey
    /// What is called, unless it is a task.
    private let invocable: (any Invocable)?
    private let state: Mutex<State>

    private struct State {
        var assembly = MessageAssembly()
        var isComplete: Bool
        var task: Task<Void, Never>?
        var isOver = false
        /// Nobody waits for the answer.
        var isPosted = false
        var timer: Reactor.TimerToken?
        /// Where an answer of many frames waits for credit.
        var gate: CreditGate?
        /// What of the request counts against what the caller's side may have here, in bytes.
        var reserved = 0
    }

    /// - Parameters:
    ///   - invocable: what is called; `nil`: the request names a task.
    ///   - reserved: what was reserved for `payload`.
    init(
        _ key: StreamKey, _ payload: UnsafeRawBufferPointer, isComplete: Bool, scope: any ContextScope,
        invocable: (any Invocable)? = nil, reserved: Int = 0
    ) {
        self.invocable = invocable
        self.key = key
        self.scope = scope
        var assembly = MessageAssembly()
        _ = assembly.append(payload)
        state = Mutex(State(assembly: assembly, isComplete: isComplete, reserved: reserved))
    }

    deinit {
        let reserved = state.withLock { $0.reserved }
        if reserved > 0 { scope.runtime.capabilities.release(reserved, from: key.opener, scope.runtime) }
    }

    func begin() {
        if let request = state.withLock({ $0.isComplete ? $0.assembly.take() : nil }) { run(request) }
    }

    private func run(_ request: [UInt8]) {
        // The one unstructured task of a call: nobody here waits for it. It ends by itself or is cancelled by a reset,
        // and the stream table holds it until then.
        scope.taskStarted()
        let task = Task(executorPreference: scope.node.reactor) { [self] in
            let answer = await answer(request)
            end()
            if state.withLock({ $0.isPosted }) {
                scope.runtime.forget(self)
                Self.log(failureIn: answer, key.opener)
            } else if answer.count <= FrameHeader.maximumPayload {
                scope.node.sendEnd(key, answer)
            } else {
                await sendLarge(answer)
            }
            scope.taskEnded()
        }
        let isOver = state.withLock { state in
            if !state.isOver { state.task = task }
            return state.isOver
        }
        if isOver { task.cancel() }
    }

    private nonisolated(nonsending) func answer(_ request: [UInt8]) async -> [UInt8] {
        guard let call = CallRequest(request) else {
            return CallAnswer.failure(.init(.protocolViolation, "a call that cannot be read"))
        }
        if let invocable { return await answer(request, call, invocable) }
        guard let handler = request.withUnsafeBytes({ TaskRegistry.handler(named: .init(rebasing: $0[call.name])) })
        else {
            return CallAnswer.failure(
                .init(
                    .taskNotRemote,
                    "this context's program has no task \(String(decoding: request[call.name], as: UTF8.self))",
                    advice: "build the image that is sent from the same sources, with the same module names"
                )
            )
        }
        if call.milliseconds > 0 { setDeadline(call.milliseconds) }
        let context = RemoteContext(
            contextID: scope.node.address,
            callerID: key.opener,
            route: scope.route,
            scope: scope
        )
        guard let headers = call.headers else { return await handler.run(request[call.arguments], in: context) }
        return await answer(request, call.arguments, headers, handler, context)
    }

    private nonisolated(nonsending) func answer(
        _ request: [UInt8], _ call: CallRequest, _ invocable: any Invocable
    ) async -> [UInt8] {
        if call.milliseconds > 0 { setDeadline(call.milliseconds) }
        let invocation = Invocation(
            target: String(decoding: request[call.name], as: UTF8.self), arguments: request[call.arguments],
            isFromAbove: key.opener.isAncestor(of: scope.node.address), runtime: scope.runtime)
        // What goes with a call is believed only of those who may say what is done here.
        guard invocation.isFromAbove, let headers = call.headers,
            let instrument = scope.runtime.configuration.instrumentType,
            let trace = try? CBORDecoder().decode(CallHeaders.self, from: Array(request[headers])).trace
        else { return await invocable.answer(invocation) }
        return await instrument.within(trace) { await invocable.answer(invocation) }
    }

    private nonisolated(nonsending) func answer(
        _ request: [UInt8], _ arguments: Range<Int>, _ headers: Range<Int>, _ handler: TaskHandler,
        _ context: RemoteContext
    ) async -> [UInt8] {
        let decoded: CallHeaders
        do {
            decoded = try ChannelPassage.with(scope.runtime) {
                try CBORDecoder().decode(CallHeaders.self, from: Array(request[headers]))
            }
        } catch {
            return CallAnswer.failure(
                .init(.protocolViolation, "the headers of a call cannot be read: \(ErrorText.of(error))"))
        }
        if decoded.isPosted == true { accept() }
        let output = decoded.output.map { TaskOutput($0) }
        defer { output?.finish() }
        return await TaskOutput.$current.withValue(output) {
            guard let trace = decoded.trace, let instrument = scope.runtime.configuration.instrumentType else {
                return await handler.run(request[arguments], in: context)
            }
            return await instrument.within(trace) { await handler.run(request[arguments], in: context) }
        }
    }

    /// Nobody waits for the answer: the stream is over, and the task goes on until the context ends.
    private func accept() {
        state.withLock { $0.isPosted = true }
        scope.runtime.keep(self)
        scope.node.sendEnd(key, [CallAnswer.success])
    }

    private static func log(failureIn answer: [UInt8], _ caller: ContextAddress) {
        guard let failure = CallAnswer.failureText(answer) else { return }
        Logger(label: "martlet").error(
            "a posted task failed: \(failure)", metadata: ["caller": "\(caller)"], source: "Martlet")
    }

    private func sendLarge(_ answer: [UInt8]) async {
        guard answer.count <= MessageAssembly.limit else {
            scope.node.reset(key, .valueTooLarge)
            return
        }
        // A reset that came before has taken the stream away, so that nothing waits here.
        let gate = CreditGate()
        state.withLock { $0.gate = gate }
        _ = await scope.node.sendMessage(key, answer, end: true, gate: gate)
    }

    /// The caller keeps the same deadline; this one counts if it is gone or its clock stands still.
    private func setDeadline(_ milliseconds: UInt32) {
        let timer = scope.node.reactor.schedule(at: Reactor.now + UInt64(milliseconds) * 1_000_000) { [self] in
            scope.node.reset(key, ResetReason(.deadlineExceeded, "the task took more than \(milliseconds) ms"))
            cancel()
        }
        let isOver = state.withLock { state in
            state.timer = timer
            return state.isOver
        }
        if isOver { scope.node.reactor.cancel(timer) }
    }

    /// The task has ended.
    private func end() {
        let timer = state.withLock { state in
            state.isOver = true
            state.task = nil
            return state.timer
        }
        if let timer { scope.node.reactor.cancel(timer) }
    }

    func cancel() {
        let (task, timer, gate) = state.withLock { state in
            state.isOver = true
            return (state.task, state.timer, state.gate)
        }
        if let timer { scope.node.reactor.cancel(timer) }
        task?.cancel()
        gate?.open()
    }

    // MARK: StreamOwner

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let isFree = invocable == nil || key.opener.isAncestor(of: scope.node.address)
        let fits = isFree || scope.runtime.capabilities.reserve(payload.count, for: key.opener, scope.runtime)
        let (isTaken, request) = state.withLock { state -> (Bool, [UInt8]?) in
            if fits, !isFree { state.reserved += payload.count }
            guard fits, state.assembly.append(payload) else { return (false, nil) }
            state.isComplete = kind == .end
            return (true, state.isComplete ? state.assembly.take() : nil)
        }
        if !isTaken {
            scope.node.reset(key, .valueTooLarge)
            cancel()
        } else if let request {
            run(request)
        } else {
            scope.node.consumed(key, payload: payload.count)
        }
    }

    func creditArrived() { state.withLock { $0.gate }?.open() }
    func wasReset(_ reason: ResetReason) {
        if reason.code == .contextDetached { outlive() } else { cancel() }
    }

    /// The caller is gone on purpose, and the task goes on.
    private func outlive() {
        let (isRunning, gate) = state.withLock { state in
            if state.task != nil, !state.isOver { state.isPosted = true }
            return (state.isPosted, state.gate)
        }
        guard isRunning else { return cancel() }
        scope.runtime.keep(self)
        gate?.open()
    }
}
