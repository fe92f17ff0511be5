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
///
///     attached ──detach──▶ leaving ──the parent lets go──▶ detached (answer, goodbye) ──lease, or attach──▶ …
///        ▲                  │    │
///        └──no word in time─┘    └──link lost──▶ ending
///
/// Whoever has the answer may rely on it: from the parent's word on neither it nor its guard ends this process, and before
/// that nobody has the id.
extension Agent {
    /// How long what was sent before may take to leave, in nanoseconds.
    private static var partingLimit: UInt64 { 1_000_000_000 }
    /// How long the parent may take to let go, in nanoseconds.
    private static var releaseLimit: UInt64 { 10_000_000_000 }

    /// A detach that waits for the parent.
    struct Leaving: Sendable {
        var detachment: Detachment
        /// In nanoseconds.
        var lease: UInt64
        var answer: @Sendable (Result<DetachedPlace, MartletError>) -> Void
    }

    /// Makes ready to live on without a parent, and asks it to let go.
    ///
    /// - Parameters:
    ///   - lease: in nanoseconds.
    ///   - answer: told where this context will wait; the socket is there then.
    func detach(_ lease: UInt64, _ answer: @escaping @Sendable (Result<DetachedPlace, MartletError>) -> Void) {
        let detachment: Detachment
        do throws(MartletError) {
            detachment = try Detachment(reactor) { [self] in visited($0, nonce: $1) }
        } catch {
            return answer(.failure(error))
        }
        let link = state.withLock { state -> Link? in
            guard state.ring == nil, state.leaving == nil, !state.isEnding else { return nil }
            state.leaving = Leaving(detachment: detachment, lease: lease, answer: answer)
            return state.link
        }
        guard let link else {
            detachment.close()
            return answer(.failure(MartletError(.misuse, "the context is ending, or being detached by somebody else")))
        }
        // By this the parent knows what it has to let go.
        martlet_set_leased(true)
        link.sendGoodbye(.leaving)
        reactor.schedule(at: Reactor.now + Self.releaseLimit) { [self] in stay(detachment) }
    }

    private func stay(_ detachment: Detachment) {
        let leaving = state.withLock { state -> Leaving? in
            guard let leaving = state.leaving, leaving.detachment === detachment else { return nil }
            state.leaving = nil
            return leaving
        }
        guard let leaving else { return }
        martlet_set_leased(false)
        detachment.close()
        leaving.answer(
            .failure(MartletError(.deadlineExceeded, "the context's parent does not let go of it: it stays attached")))
    }

    /// The parent has let go.
    func released() {
        let (leaving, previous) = state.withLock { state -> (Leaving?, Detachment?) in
            guard let leaving = state.leaving, !state.isEnding else { return (nil, nil) }
            state.leaving = nil
            // From here on a goodbye, or the end of the link, ends nothing.
            state.ring = OutputRing()
            defer { state.detachment = leaving.detachment }
            return (leaving, state.detachment)
        }
        guard let leaving else { return }
        previous?.close()
        leaving.answer(.success(DetachedPlace(id: leaving.detachment.id, socket: leaving.detachment.path)))
        leave(leaving.detachment, leaving.lease)
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
            await runtime.closeChildren(within: 2_000_000_000)
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
        martlet_outlive_parent()
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
