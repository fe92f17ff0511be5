import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// From the agent's marker to its welcome.
extension ConnectAttempt {
    func linkUp(_ early: [UInt8]) {
        let (input, output, sink) = state.withLock { ($0.input, $0.output, $0.sink) }
        guard let input, let output, sink != nil, let handshake = ChildHandshake(runtime) else {
            return fail(
                MartletError(.limitExceeded, "the tree of contexts is too deep", route: route, phase: .handshake))
        }
        try? input.watch(for: [], self)
        let link = handshake.link(
            input, output,
            child: { [self] in state.withLock { $0.child } },
            onHello: { [self] link, payload in receivedHello(handshake, link, payload) },
            onEnd: { [self] end in linkEnded(handshake.number, end) }
        )
        state.withLock { state in
            state.link = link
            // Both belong to the link now.
            (state.input, state.output, state.sink) = (nil, nil, nil)
        }
        link.start(early: early)
    }

    private func receivedHello(_ handshake: ChildHandshake, _ link: Link, _ payload: UnsafeRawBufferPointer) {
        let (first, process) = state.withLock { ($0.plan.first, $0.process) }
        let (hello, version): (Hello, Int)
        do {
            (hello, version) = try ChildHandshake.read(payload, nonce: first.nonce, builds: builds)
        } catch {
            return fail(Self.error(error, expected: builds, route))
        }
        let welcome = handshake.welcome(
            version: version, route: route, options: options, imageID: image?.id,
            // Without an image to send, the child runs from what we run from.
            policy: image.map { _ in first.policy })
        guard let welcome else { return }
        // There is no process where the way in is a byte stream.
        let child = ChildContext(
            number: handshake.number, label: connector.label, link: link, process: process, reactor: runtime.reactor)
        let success = state.withLock { state -> (Success, ConnectPhase, Duration)? in
            guard state.result == nil else { return nil }
            state.child = child
            let (left, duration) = state.enter(.handshake)
            let success = Success(
                number: handshake.number, address: handshake.address, hello: hello, timings: state.timings)
            state.result = .success(success)
            return (success, left, duration)
        }
        guard let (success, left, duration) = success else { return link.end(.finished) }
        onNumber(handshake.number)
        handshake.admit(child, welcome)
        onProgress(left, duration)
        deliver(.success(success))
    }

    private static func error(_ fault: ChildHandshake.Fault, expected: Set<String>, _ route: Route) -> MartletError {
        let (message, advice): (String, String?) =
            switch fault {
            case .unreadable(let why): ("the agent's hello cannot be read: \(why)", nil)
            case .otherProtocol(let hello):
                (
                    "the agent speaks protocol \(hello.oldest)-\(hello.newest), this program \(ProtocolVersion.oldest)-\(ProtocolVersion.newest)",
                    "build the image and this program from the same version of Martlet, and clean the far cache"
                )
            case .otherBuild(let hello):
                (
                    "the agent is build \(hello.build), not \(expected.sorted().joined(separator: " or "))",
                    "clean the far cache: martlet clean HOST"
                )
            }
        return MartletError(.handshakeFailed, message, route: route, phase: .handshake, advice: advice)
    }

    /// What carried the byte stream tells why it is over.
    func wayLost(_ reason: ResetReason) {
        if let link = state.withLock({ $0.link }) { return link.end(.failed(reason.message)) }
        let error = ResetError(reason: reason).error(route, "connect")
        fail(error as? MartletError ?? MartletError(.contextLost, reason.message, route: route))
    }

    func linkEnded(_ number: UInt32, _ end: LinkEnd) {
        guard state.withLock({ $0.child != nil }) else {
            runtime.node.lose(.child(number), end)
            return fail(MartletError(.handshakeFailed, "\(end)", route: route, phase: .handshake))
        }
        // Behind a byte stream there is no process to ask.
        guard case .closed = end, state.withLock({ $0.process != nil }) else {
            return runtime.node.lose(.child(number), end)
        }
        lose(number, looks: 20)
    }

    /// How the process ended says more than that the link did. Mostly it is known a moment later.
    private func lose(_ number: UInt32, looks: Int) {
        let exit = state.withLock { $0.exit }
        guard exit == nil, looks > 0 else {
            return runtime.node.lose(.child(number), exit.map { $0 == .exited(0) ? .closed : .ended($0) } ?? .closed)
        }
        runtime.reactor.schedule(at: Reactor.now + 5_000_000) { [self] in lose(number, looks: looks - 1) }
    }
}
