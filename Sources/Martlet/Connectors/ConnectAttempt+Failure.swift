import MartletReactor
import Synchronization

/// How an attempt ends without a context, and what is left then: nothing.
extension ConnectAttempt {
    func exited(_ status: ExitStatus) {
        let (child, terminal) = state.withLock { state in
            state.exit = status
            return (state.child, state.terminal)
        }
        terminal?.close()
        if let child {
            child.processEnded()
            // Nothing can come any more; what came is read first.
            runtime.reactor.schedule(at: Reactor.now + 100_000_000) { child.link.end(.closed) }
            return
        }
        // Its last words may still be in the pipes.
        runtime.reactor.schedule(at: Reactor.now + 50_000_000) { [self] in
            state.withLock { $0.outputEnded = true }
            endedIfSettled()
        }
    }

    func endedIfSettled() {
        let actions = state.withLock { state -> [BootstrapPlan.Action]? in
            guard state.child == nil, state.link == nil, state.outputEnded else { return nil }
            return state.plan.ended()
        }
        if let actions { perform(actions) }
    }

    func failWhenSettled(_ failure: BootstrapFailure) {
        runtime.reactor.schedule(at: Reactor.now + 300_000_000) { [self] in fail(error(for: failure)) }
        let sink = state.withLock { $0.sink }
        sink?.finish()
    }

    func deadlinePassed() {
        let (phase, isOver, isCached, deadline) = state.withLock {
            ($0.phase, $0.result != nil, $0.plan.isStartingCached, $0.deadline)
        }
        guard !isOver else { return }
        // It has moved on by the time that somebody took to answer.
        guard Reactor.now >= deadline else {
            let timer = runtime.reactor.schedule(at: deadline) { [self] in deadlinePassed() }
            return state.withLock { $0.timer = timer }
        }
        fail(
            MartletError(
                .connectTimedOut,
                "not connected within \(options.deadline)"
                    + (isCached ? ": the image in the far cache was started, and says nothing" : ""),
                route: route,
                phase: phase,
                detail: tail(),
                advice: isCached
                    ? "is the machine overloaded? If not, clean the far cache: martlet clean HOST"
                    : ConnectDiagnosis.advice(forTimeoutIn: phase)
            )
        )
    }

    func tail() -> String? {
        let lines = state.withLock { $0.errorTail + ($0.errorLines.finish().map { [$0] } ?? []) }
        return lines.isEmpty ? nil : lines.suffix(20).joined(separator: "\n")
    }

    func error(for failure: BootstrapFailure) -> MartletError {
        let (phase, exit, lines) = state.withLock { ($0.phase, $0.exit, $0.errorTail) }
        let code: Int32? = if case .exited(let code)? = exit { code } else { nil }
        let known = ConnectorFailure(
            phase: phase, lines: lines, noise: ConnectDiagnosis.noiseLines(failure.noise), exitCode: code,
            hasAnswered: state.withLock { $0.dialogue.hasAnswered })
        state.withLock { $0.failure = known }
        if var error = connector.diagnose(known) {
            error.route = route
            return error
        }
        state.withLock { $0.isWorthCare = failure.isWorthCare }
        return ConnectDiagnosis.error(failure, phase: phase, exit: exit, lines: lines, route: route)
    }

    func fail(_ error: MartletError) {
        let isFirst = state.withLock { state in
            guard state.result == nil else { return false }
            state.result = .failure(error)
            return true
        }
        guard isFirst else { return }
        release()
        deliver(.failure(error))
    }

    /// Ends all that the attempt has started.
    func release() {
        let (process, input, output, sink, errors, link, timers, terminal) = state.withLock { state in
            defer { (state.input, state.output, state.sink) = (nil, nil, nil) }
            state.dialogue.end()
            state.asker?.cancel()
            let timers = [state.timer, state.lookTimer]
            return (
                state.process, state.input, state.output, state.sink, state.errors, state.link, timers, state.terminal
            )
        }
        for case let timer? in timers { runtime.reactor.cancel(timer) }
        input?.close()
        sink?.close()
        output?.close()
        link?.end(.finished)
        errors?.close()
        terminal?.close()
        process?.end(grace: 500_000_000)
    }

    func deliver(_ result: Result<Success, MartletError>) {
        let (continuation, timer) = state.withLock { state in
            defer { state.continuation = nil }
            return (state.continuation, state.timer)
        }
        if let timer { runtime.reactor.cancel(timer) }
        continuation?.resume(returning: result)
    }
}
