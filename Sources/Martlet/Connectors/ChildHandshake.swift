import Logging
import MartletLink
import MartletReactor
import MartletWire

/// A child's part in the tree, from its marker to its welcome: the same whether it was started or is taken up again.
struct ChildHandshake: Sendable {
    /// What is wrong with a hello.
    enum Fault: Error {
        case unreadable(String)
        /// The two have no protocol in common.
        case otherProtocol(Hello)
        /// It is not who was started, or of another build.
        case otherBuild(Hello)
    }

    let runtime: ContextRuntime
    let number: UInt32
    let address: ContextAddress

    /// Gives the child its place; `nil` if the tree is too deep.
    init?(_ runtime: ContextRuntime) {
        guard let (number, address) = runtime.node.addChild() else { return nil }
        (self.runtime, self.number, self.address) = (runtime, number, address)
    }

    /// The link to the child, not started yet.
    ///
    /// - Parameters:
    ///   - child: what has said hello by now.
    ///   - onHello: gets its payload, which is valid during the call only.
    func link(
        _ input: EventSource,
        _ output: EventSource,
        child: @escaping @Sendable () -> ChildContext?,
        onHello: @escaping @Sendable (Link, UnsafeRawBufferPointer) -> Void,
        onEnd: @escaping @Sendable (LinkEnd) -> Void
    ) -> Link {
        Link(
            to: .child(number),
            input: input,
            output: output,
            heartbeatLimit: runtime.configuration.heartbeatLimit.clampedNanoseconds,
            reactor: runtime.reactor,
            onFrame: { [runtime] link, header, payload in
                guard let child = child() else {
                    guard header.kind == .hello else { return link.end(.violated("a \(header.kind) before hello")) }
                    return onHello(link, payload)
                }
                switch header.kind {
                case .hello: link.end(.violated("a second hello"))
                case .goodbye: runtime.said(Goodbye(payload), child)
                default: runtime.node.receive(link, header, payload)
                }
            },
            onEnd: { onEnd($1) }
        )
    }

    /// Reads a hello.
    ///
    /// - Parameter builds: which ones may answer.
    /// - Returns: the hello, and the version of the protocol to speak.
    static func read(
        _ payload: UnsafeRawBufferPointer, nonce: BootstrapNonce, builds: Set<String>
    ) throws(Fault) -> (Hello, version: Int) {
        let hello: Hello
        do { hello = try CBORDecoder().decode(Hello.self, from: payload) } catch { throw .unreadable("\(error)") }
        guard let version = ProtocolVersion.common(with: hello) else { throw .otherProtocol(hello) }
        guard hello.nonce == nonce.text, builds.contains(hello.build) else { throw .otherBuild(hello) }
        return (hello, version)
    }

    /// What the child is told: the payload of its welcome.
    ///
    /// - Parameters:
    ///   - imageID: what the far cache calls the child's image. Default our own.
    ///   - policy: where its own children's images may be. Default as ours.
    func welcome(
        version: Int, route: Route, options: ConnectOptions, imageID: String? = nil, policy: ImagePolicy? = nil
    ) -> [UInt8]? {
        let welcome = Welcome(
            version: version,
            address: address,
            route: route,
            title: options.title ?? runtime.configuration.title,
            heartbeatLimit: runtime.configuration.heartbeatLimit.clampedMilliseconds,
            imageID: imageID ?? runtime.images.ownID,
            policy: policy ?? runtime.images.policy,
            logLevel: runtime.configuration.logLevel?.rawValue,
            instrument: runtime.configuration.instrumentName,
            setup: runtime.configuration.setup
        )
        return try? CBOREncoder().encode(welcome)
    }

    /// From here on the child is a context.
    func admit(_ child: ChildContext, _ welcome: [UInt8]) {
        runtime.add(child)
        runtime.node.attach(child.link)
        welcome.withUnsafeBytes { child.link.send(FrameHeader(.welcome, payloadCount: welcome.count), $0) }
    }
}
