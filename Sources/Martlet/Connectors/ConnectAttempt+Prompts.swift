import CMartlet
import MartletReactor
import Synchronization

/// Answers a prompt, or refuses with `nil`.
typealias PromptAnswering = @Sendable (Prompt) async throws -> Secret?

/// What the connector's program asks before it starts the shell.
extension ConnectAttempt {
    /// How long somebody may take to answer. It does not count as the connect's time.
    static let answerLimit: UInt64 = 120_000_000_000

    func makeTerminal() throws(SystemError) -> PseudoTerminal {
        try PseudoTerminal(reactor: runtime.reactor) { [self] bytes in
            let lines = state.withLock { state in
                let lines = state.terminalLines.append(bytes)
                for line in lines where state.asking.hasTerminal { state.dialogue.line(line) }
                return lines
            }
            receivedErrors(lines.filter { !$0.isEmpty })
            heard()
        }
    }

    /// The program wrote something where it asks.
    func heard() {
        let isOver = state.withLock { state in
            state.lastWord = Reactor.now
            return state.dialogue.isOver || (!state.asking.usesPipes && !state.asking.hasTerminal)
        }
        if !isOver { look() }
    }

    private func look() {
        let now = Reactor.now
        let step = state.withLock { state -> PromptDialogue.Step in
            let isOnTerminal = state.asking.hasTerminal && !state.terminalLines.pending.isEmpty
            guard isOnTerminal || state.asking.usesPipes else { return .nothing }
            let place = isOnTerminal ? \ConnectAttempt.State.terminalLines : \.errorLines
            let isHidden = isOnTerminal ? state.terminal.map { !$0.echoes } : nil
            let step = state.dialogue.look(
                state[keyPath: place].pending, quiet: now - state.lastWord, isHidden: isHidden)
            if case .ask = step { _ = state[keyPath: place].finish() }
            return step
        }
        switch step {
        case .nothing: break
        case .wait(let time):
            let timer = runtime.reactor.schedule(at: now + time) { [self] in look() }
            let former = state.withLock { state in
                defer { state.lookTimer = timer }
                return state.lookTimer
            }
            if let former { runtime.reactor.cancel(former) }
        case .ask(let text, let lines, let isMarked):
            let (isHidden, chatter) = state.withLock { ($0.terminal.map { !$0.echoes } ?? true, $0.chatter) }
            var prompt = Prompt(text: text, lines: lines, kind: .other, isHidden: isHidden, route: route)
            prompt.kind = connector.kind(of: prompt, isMarked: isMarked, behind: chatter)
            ask(prompt)
        case .rejected(let text):
            fail(
                failure(
                    .authenticationFailed, "the answer to “\(text)” was not accepted",
                    advice: "is it the right one, and for this account?"))
        case .tooMany: fail(failure(.authenticationFailed, "there is no end of questions"))
        }
    }

    private func ask(_ prompt: Prompt) {
        enter(.authenticate)
        if prompt.kind == .password, let password = connector.password { return answer(password) }
        guard let ask else {
            return fail(
                failure(
                    .promptRefused, "“\(prompt.text)” was asked, and there is nobody to answer",
                    advice: prompt.advice))
        }
        let asked = Reactor.now
        // Nobody may wait for ever, not even for a person.
        let limit = runtime.reactor.schedule(at: asked + Self.answerLimit) { [self] in
            fail(failure(.connectTimedOut, "nobody answered “\(prompt.text)” within two minutes"))
        }
        state.withLock { $0.deadline += Self.answerLimit }
        let task = Task(executorPreference: runtime.reactor) { [self] in
            let result: Result<Secret?, any Error>
            do { result = .success(try await ask(prompt)) } catch { result = .failure(error) }
            runtime.reactor.cancel(limit)
            let former = state.withLock { state in
                state.deadline -= Self.answerLimit - min(Self.answerLimit, Reactor.now - asked)
                return state.timer
            }
            // It may stand at the time that nobody took.
            if let former, runtime.reactor.cancel(former) { deadlinePassed() }
            switch result {
            case .success(let secret?): answer(secret)
            case .success(nil):
                fail(failure(.promptRefused, "“\(prompt.text)” was asked, and not answered", advice: prompt.advice))
            case .failure(let error):
                fail(failure(.promptRefused, "“\(prompt.text)” was asked, and the answer failed: \(error)"))
            }
        }
        let isOver = state.withLock { state in
            state.asker = task
            return state.result != nil
        }
        if isOver { task.cancel() }
    }

    private func answer(_ secret: Secret) {
        secret.withBytes { bytes in
            var line = Array(bytes)
            defer { line.withUnsafeMutableBytes { martlet_forget($0.baseAddress, $0.count) } }
            guard !line.contains(where: { $0 == 0x0a || $0 == 0x0d || $0 == 0 }) else {
                return fail(failure(.misuse, "an answer has a line's end or a NUL in it"))
            }
            line.append(0x0a)
            let (terminal, sink) = state.withLock { state in
                state.dialogue.answered()
                state.lastSend = Reactor.now
                return (state.asking.usesPipes ? nil : state.terminal, state.sink)
            }
            if let terminal { line.withUnsafeBytes(terminal.type) } else { sink?.write(line) }
        }
    }

    private func failure(_ code: MartletError.Code, _ message: String, advice: String? = nil) -> MartletError {
        MartletError(code, message, route: route, phase: .authenticate, detail: tail(), advice: advice)
    }
}

extension Prompt {
    fileprivate var advice: String {
        switch kind {
        case .password: "give the password, or a responder that knows it (command line: --ask-pass, --ask-sudo-pass)"
        case .passphrase: "load the key into an agent (ssh-add), or give a responder that knows the passphrase"
        case .hostKey: "connect once by hand to compare the fingerprint, or add the key to known_hosts"
        case .oneTimeCode, .other: "give a responder that can answer this (command line: --ask)"
        }
    }
}
