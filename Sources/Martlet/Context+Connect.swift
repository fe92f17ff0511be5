import MartletLink
import MartletReactor
import MartletWire

extension Context {
    /// Starts a context through this one: the way in begins on this context's machine, and the image comes from there.
    ///
    /// It lives until it is closed or this context ends.
    ///
    /// - Parameters:
    ///   - prompts: answers what the way in asks. Default: ``MartletOptions/prompts``.
    ///   - onPhase: told as each phase of the connect is over, with its time.
    /// - Throws: ``MartletError`` that names the phase, the route, and what the far side said; `CancellationError`.
    public func connect<C: Connector>(
        _ connector: C,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        let here = route.appending(connector.label)
        guard let type = _mangledTypeName(C.self), _typeByName(type) == C.self else {
            throw MartletError(
                .taskNotRemote,
                "\(C.self) cannot be used in another context: it cannot be found there by its name",
                route: here,
                advice: "make \(C.self) internal or public and declare it outside of any function"
            )
        }
        let encoder = CBOREncoder()
        let responder = prompts ?? runtime.configuration.prompts
        let request = ConnectRequest(
            type: type, connector: try encoder.encode(connector), options: options, mayAsk: responder != nil)
        let end = try await runtime.observingConnect(here, onPhase) { [runtime, address] in
            try await request.send(over: runtime, to: address, encoder, route: here, responder, $0)
        }
        if let failure = end.failure { throw failure }
        guard let child = end.child, let childAddress = address.child(child.number) else {
            throw MartletError(.protocolViolation, "a connect ended without an answer", route: here)
        }
        return Context(
            address: childAddress,
            route: here,
            facts: child.facts,
            timings: child.timings.clamped,
            runtime: runtime
        )
    }

    /// Runs `body` with a context that ends when `body` does.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)``, and what `body` throws.
    public func withContext<C: Connector, R>(
        _ connector: C,
        options: ConnectOptions = .init(),
        _ body: (Context) async throws -> R
    ) async throws -> R {
        let context = try await connect(connector, options: options)
        return try await context.closing(body)
    }

    /// Asks the context to finish and to end, and waits until it is gone; after `limit` it is made to. Closing what is
    /// gone already does nothing.
    ///
    /// - Parameter limit: default: 5 s.
    public func close(within limit: Duration = .seconds(5)) async {
        await end(within: limit, drains: false)
        await bridge?.close(within: limit)
    }

    /// Ends the context in good order: it takes no more work, and what it, and the contexts below it, have sent on channels,
    /// logged or printed until then arrives. Then what runs in it is ended, as ``close(within:)`` does; tasks are not waited
    /// for. Returns when it is gone.
    ///
    /// - Parameter deadline: after this time it is made to end, whatever is still under way.
    public func shutdown(deadline: Duration) async {
        await end(within: deadline, drains: true)
        await bridge?.close()
    }

    private func end(within limit: Duration, drains: Bool) async {
        guard let parent = address.parent, let number = parent.childNumber(towards: address) else { return }
        // Our own children's are retired when their links end.
        defer { if parent != node.address { runtime.retireRoutes(below: address) } }
        if parent == node.address {
            await runtime.child(number)?.close(within: limit.clampedNanoseconds, drains: drains)
            return
        }
        let queue = InboundQueue(node)
        let request = IncomingDisconnect.Request(
            number: number, limit: limit.clampedMilliseconds, drains: drains ? true : nil)
        guard let payload = try? CBOREncoder().encode(request),
            node.open(to: parent, .disconnect, owner: queue, payload: payload, flags: .last) != nil
        else { return }
        // Either the answer comes, or the stream is reset because its context is lost. The limit is kept over there; a
        // little later it is over in any case.
        let timer = node.reactor.schedule(at: Reactor.now + limit.clampedNanoseconds + 3_000_000_000) {
            queue.reset(ResetReason(.deadlineExceeded, "no answer"))
        }
        _ = try? await queue.next()
        node.reactor.cancel(timer)
    }
}

extension PromptResponder? {
    fileprivate func answer(_ prompt: Prompt) async -> ConnectAnswer {
        do { return ConnectAnswer(answer: try await self?.answer(prompt)) } catch {
            return ConnectAnswer(failure: "\(error)")
        }
    }
}

extension ConnectRequest {
    fileprivate func send(
        over runtime: ContextRuntime,
        to address: ContextAddress,
        _ encoder: CBOREncoder,
        route: Route,
        _ responder: (any PromptResponder)?,
        _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?
    ) async throws -> ConnectEnd {
        let node = runtime.node!
        let isNumbered = Locked(false)
        // What the child prints may be here before the answer is: it is called by its name from the first line on.
        let queue = InboundQueue(node) { bytes in
            guard let number = (try? CBORDecoder().decode(ConnectProgress.self, from: bytes))?.child,
                let child = address.child(number),
                isNumbered.withLock({ isNumbered in
                    defer { isNumbered = true }
                    return !isNumbered
                })
            else { return }
            runtime.note(route, of: child)
        }
        let payload = try encoder.encode(self)
        guard payload.count <= ContextNode.maximumOpenPayload,
            let key = node.open(
                to: address, .connect, owner: queue, payload: payload, flags: responder == nil ? .last : [])
        else { throw ResetError(reason: .notConnected).error(route, "connect") }
        defer { if responder != nil { node.reset(key, ResetReason(.cancelled, "the connect is over")) } }
        do {
            return try await withTaskCancellationHandler {
                var prompts = 0
                while let message = try await queue.next() {
                    switch message {
                    case .data(let bytes):
                        guard let progress = try? CBORDecoder().decode(ConnectProgress.self, from: bytes) else {
                            continue
                        }
                        if let phase = progress.phase { onPhase?(phase, .microseconds(progress.microseconds ?? 0)) }
                        if let prompt = progress.prompt {
                            prompts += 1
                            guard prompts <= PromptDialogue.promptLimit else {
                                throw MartletError(
                                    .protocolViolation, "there is no end of questions", route: route,
                                    phase: .authenticate)
                            }
                            let answer = await responder.answer(prompt.tamed(route))
                            let bytes = try encoder.encode(answer)
                            _ = bytes.withUnsafeBytes { node.sendData(key, $0) }
                        }
                    case .end(let bytes):
                        return try CBORDecoder().decode(ConnectEnd.self, from: bytes)
                    }
                }
                throw MartletError(.protocolViolation, "a connect ended without an answer", route: route)
            } onCancel: {
                queue.reset(ResetReason(.cancelled, "the caller was cancelled"))
            }
        } catch let error as ResetError {
            throw error.error(route, "connect")
        }
    }
}
