import MartletReactor
import MartletWire
import Synchronization

/// The called side's end of a call: gathers the arguments, runs the task, answers.
final class IncomingCall: AcceptedStreamOwner {
    private let scope: any ContextScope
    private let key: StreamKey
    private let gate = CreditGate()
    private let state: Mutex<State>

    private struct State {
        var assembly = MessageAssembly()
        var isComplete: Bool
        var task: Task<Void, Never>?
        var isOver = false
        var timer: Reactor.TimerToken?
    }

    init(_ key: StreamKey, _ payload: UnsafeRawBufferPointer, isComplete: Bool, scope: any ContextScope) {
        self.key = key
        self.scope = scope
        var assembly = MessageAssembly()
        _ = assembly.append(payload)
        state = Mutex(State(assembly: assembly, isComplete: isComplete))
    }

    func begin() {
        if state.withLock({ $0.isComplete }) { run() }
    }

    private func run() {
        // The one unstructured task of a call: nobody here waits for it. It ends by itself or is cancelled by a reset,
        // and the stream table holds it until then.
        scope.taskStarted()
        let task = Task(executorPreference: scope.node.reactor) { [self] in
            let answer = await answer()
            end()
            if answer.count <= FrameHeader.maximumPayload {
                scope.node.sendEnd(key, answer)
            } else if answer.count <= MessageAssembly.limit {
                _ = await scope.node.sendMessage(key, answer, end: true, gate: gate)
            } else {
                scope.node.reset(key, .valueTooLarge)
            }
            scope.taskEnded()
        }
        let isOver = state.withLock { state in
            if !state.isOver { state.task = task }
            return state.isOver
        }
        if isOver { task.cancel() }
    }

    private func answer() async -> [UInt8] {
        let request = state.withLock { state in
            defer { state.assembly = MessageAssembly() }
            return state.assembly.bytes
        }
        let parsed = request.withUnsafeBytes { bytes -> (TaskHandler?, [UInt8], UInt32, String)? in
            guard let parsed = CallRequest.parse(bytes) else { return nil }
            let handler = TaskRegistry.handler(named: parsed.name)
            let name = handler == nil ? String(decoding: parsed.name, as: UTF8.self) : ""
            return (handler, Array(parsed.arguments), parsed.milliseconds, name)
        }
        guard let (handler, arguments, milliseconds, name) = parsed else {
            return CallAnswer.failure(.init(.protocolViolation, "a call that cannot be read"))
        }
        guard let handler else {
            return CallAnswer.failure(
                .init(
                    .taskNotRemote,
                    "this context's program has no task \(name)",
                    advice: "build the image that is sent from the same sources, with the same module names"
                )
            )
        }
        if milliseconds > 0 { setDeadline(milliseconds) }
        let context = RemoteContext(
            contextID: scope.node.address,
            callerID: key.opener,
            route: scope.route,
            scope: scope
        )
        return await handler.run(arguments, in: context)
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

    private func cancel() {
        let (task, timer) = state.withLock { state in
            state.isOver = true
            return (state.task, state.timer)
        }
        if let timer { scope.node.reactor.cancel(timer) }
        task?.cancel()
        gate.open()
    }

    // MARK: StreamOwner

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let (fits, isComplete) = state.withLock { state in
            let fits = state.assembly.append(payload)
            state.isComplete = kind == .end
            return (fits, state.isComplete)
        }
        if !fits {
            scope.node.reset(key, .valueTooLarge)
            cancel()
        } else if isComplete {
            run()
        } else {
            scope.node.consumed(key, payload: payload.count)
        }
    }

    func creditArrived() { gate.open() }
    func wasReset(_ reason: ResetReason) { cancel() }
}
