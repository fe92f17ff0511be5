import CMartlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Living on without a parent.
extension Agent {
    /// How long what was sent before may take to leave, in nanoseconds.
    private static var partingLimit: UInt64 { 1_000_000_000 }

    /// Makes ready: the socket is there when the answer is sent.
    ///
    /// - Parameter lease: in nanoseconds.
    func detach(_ lease: UInt64) -> Result<(place: DetachedPlace, leave: @Sendable () -> Void), MartletError> {
        let detachment: Detachment
        do throws(MartletError) {
            detachment = try Detachment(reactor) { [self] in visited($0, nonce: $1) }
        } catch {
            return .failure(error)
        }
        let (isFirst, previous) = state.withLock { state -> (Bool, Detachment?) in
            guard state.ring == nil, !state.isEnding else { return (false, nil) }
            // From here on a goodbye, or the end of the link, ends nothing.
            state.ring = OutputRing()
            defer { state.detachment = detachment }
            return (true, state.detachment)
        }
        guard isFirst else {
            detachment.close()
            return .failure(MartletError(.misuse, "the context is ending, or being detached by somebody else"))
        }
        previous?.close()
        let place = DetachedPlace(id: detachment.id, socket: detachment.path)
        return .success((place, { [self] in leave(detachment, lease) }))
    }

    private func leave(_ detachment: Detachment, _ lease: UInt64) {
        let (runtime, link) = state.withLock { ($0.runtime, $0.link) }
        guard let runtime else { return }
        runtime.refuseWork(.contextDetached, "the context was detached")
        // Who waited for the controller's room prints into the ring.
        resumeOutput()
        let log = LogForwarding.pause()
        let timer = reactor.schedule(at: Reactor.now + lease) { [self] in leaseEnded(detachment) }
        state.withLock { $0.lease = timer }
        // Everything it waits for has a limit.
        Task(executorPreference: reactor) { [self] in
            await withTaskGroup(of: Void.self) { group in
                for child in runtime.children { group.addTask { await child.close(within: 2_000_000_000) } }
            }
            let deadline = Reactor.now + Self.partingLimit
            func untilDrained() async {
                while Reactor.now < deadline, let link, !link.isOver,
                    !(isDrained(runtime, link) && log?.isDrained ?? true)
                { await reactor.sleep(1_000_000) }
            }
            await untilDrained()
            // What the controller has not taken by now is kept with the rest.
            let left = runtime.outputForwarder?.stop() ?? []
            state.withLock { $0.ring?.prepend(left.map { .init(pipe: $0.pipe, bytes: $0.bytes) }) }
            leaveParent()
            link?.sendGoodbye(.detached)
            await untilDrained()
            link?.end(.detached)
            detachment.start()
        }
    }

    /// Nothing of this process is the parent's any more: not its session, not its pipe for errors.
    private func leaveParent() {
        martlet_set_leased(true)
        // A terminal that goes is nothing to us. A handler, so that programs do not inherit it.
        signal(SIGHUP) { _ in }
        if setsid() > 0 { state.withLock { $0.orphans }?.sessionChanged() }
        guard let pipe = try? Pipe() else { return }
        dup2(pipe.writeEnd, 2)
        closeDescriptor(pipe.writeEnd)
        let source = ByteSource(pipe.readEnd, reactor: reactor) { [self] bytes in
            for line in state.withLock({ $0.errorLines.appendBytes(bytes) }) { keep(.error, line) }
            return takesMore { [self] in resumeOutput() }
        } onEnd: {
        }
        let old = state.withLock { state in
            defer { state.error = source }
            return state.error
        }
        source.resume()
        // What was detached before has such a pipe already: nobody writes to it now.
        old?.close()
    }

    private func leaseEnded(_ detachment: Detachment) {
        if state.withLock({ $0.ring != nil && $0.detachment === detachment }) { end() }
    }

    /// Somebody with the id is there.
    ///
    /// - Returns: `false` if another one is.
    private func visited(_ source: EventSource, nonce: String) -> Bool {
        guard state.withLock({ $0.ring != nil && $0.link == nil && !$0.isEnding }) else { return false }
        if sendHello(nonce, source.descriptor) { join(source, source) } else { source.close() }
        return true
    }
}
