import Logging
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// From the agent's marker to its welcome.
extension ConnectAttempt {
    func linkUp(_ early: [UInt8]) {
        let (input, output, sink) = state.withLock { ($0.input, $0.output, $0.sink) }
        guard let input, let output, sink != nil, let (number, address) = runtime.node.addChild() else {
            return fail(
                MartletError(.limitExceeded, "the tree of contexts is too deep", route: route, phase: .handshake))
        }
        try? input.watch(for: [], self)
        let link = Link(
            to: .child(number),
            input: input,
            output: output,
            heartbeatLimit: runtime.configuration.heartbeatLimit.clampedNanoseconds,
            reactor: runtime.reactor,
            onFrame: { [self] link, header, payload in receivedFrame(link, header, payload) },
            onEnd: { [self] _, end in linkEnded(number, end) }
        )
        state.withLock { state in
            state.link = link
            state.childNumber = number
            state.address = address
            // Both belong to the link now.
            (state.input, state.output, state.sink) = (nil, nil, nil)
        }
        link.start(early: early)
    }

    func receivedFrame(_ link: Link, _ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        if header.kind == .hello { return receivedHello(link, payload) }
        guard let child = state.withLock({ $0.child }) else {
            return link.end(.violated("a \(header.kind) before hello"))
        }
        if header.kind == .goodbye { return runtime.said(Goodbye(payload), child) }
        runtime.node.receive(link, header, payload)
    }

    func receivedHello(_ link: Link, _ payload: UnsafeRawBufferPointer) {
        let (address, number, isFirst, first) = state.withLock {
            ($0.address, $0.childNumber, $0.child == nil, $0.plan.first)
        }
        guard let address, let number, isFirst else { return link.end(.violated("a second hello")) }
        let hello: Hello
        do { hello = try CBORDecoder().decode(Hello.self, from: payload) } catch {
            return fail(
                MartletError(
                    .handshakeFailed, "the agent's hello cannot be read: \(error)", route: route, phase: .handshake))
        }
        guard let version = ProtocolVersion.common(with: hello) else {
            return fail(
                MartletError(
                    .handshakeFailed,
                    "the agent speaks protocol \(hello.oldest)-\(hello.newest), this program \(ProtocolVersion.oldest)-\(ProtocolVersion.newest)",
                    route: route,
                    phase: .handshake,
                    advice: "build the image and this program from the same version of Martlet, and clean the far cache"
                )
            )
        }
        let expected = options.script.map { [$0.build] } ?? image?.builds ?? [runtime.images.ownBuild]
        guard hello.nonce == first.nonce.text, expected.contains(hello.build) else {
            return fail(
                MartletError(
                    .handshakeFailed,
                    "the agent is build \(hello.build), not \(expected.sorted().joined(separator: " or "))",
                    route: route,
                    phase: .handshake,
                    advice: "clean the far cache: martlet clean HOST"
                )
            )
        }
        let welcome = Welcome(
            version: version,
            address: address,
            route: route,
            title: options.title ?? runtime.configuration.title,
            heartbeatLimit: runtime.configuration.heartbeatLimit.clampedMilliseconds,
            imageID: image?.id ?? runtime.images.ownID,
            // Without an image to send, the child runs from what we run from.
            policy: image == nil ? runtime.images.policy : first.policy,
            logLevel: runtime.configuration.logLevel?.rawValue,
            instrument: runtime.configuration.instrumentName,
            setup: runtime.configuration.setup
        )
        guard let bytes = try? CBOREncoder().encode(welcome) else { return }
        // None, where the way in is a byte stream.
        let process = state.withLock { $0.process }
        let child = ChildContext(
            number: number,
            label: connector.label,
            link: link,
            process: process,
            reactor: runtime.reactor
        )
        let success = state.withLock { state -> (Success, ConnectPhase, Duration)? in
            guard state.result == nil else { return nil }
            state.child = child
            let (left, duration) = state.enter(.handshake)
            let success = Success(number: number, address: address, hello: hello, timings: state.timings)
            state.result = .success(success)
            return (success, left, duration)
        }
        guard let (success, left, duration) = success else { return link.end(.finished) }
        onNumber(number)
        runtime.add(child)
        runtime.node.attach(link)
        bytes.withUnsafeBytes { link.send(FrameHeader(.welcome, payloadCount: bytes.count), $0) }
        onProgress(left, duration)
        deliver(.success(success))
    }

    func linkEnded(_ number: UInt32, _ end: LinkEnd) {
        guard state.withLock({ $0.child != nil }) else {
            runtime.node.lose(.child(number), end)
            return fail(MartletError(.handshakeFailed, "\(end)", route: route, phase: .handshake))
        }
        guard case .closed = end else { return runtime.node.lose(.child(number), end) }
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
