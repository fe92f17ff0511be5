import Martlet
import MartletPython
import Synchronization

/// Where the ways to a group's members begin.
enum GroupOrigin: Sendable {
    case controller(Controller)
    case context(Context)

    func connect(
        through connectors: [any Connector], _ options: ConnectOptions, _ prompts: (any PromptResponder)?,
        _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?
    ) async throws -> Context {
        let onPhase = onPhase.map { tell in
            { @Sendable (_: Route, phase: ConnectPhase, time: Duration) in tell(phase, time) }
        }
        return switch self {
        case .controller(let controller):
            try await controller.connect(through: connectors, options: options, prompts: prompts, onPhase: onPhase)
        case .context(let context):
            try await context.connect(through: connectors, options: options, prompts: prompts, onPhase: onPhase)
        }
    }

    func options(_ options: ConnectOptions, running runtime: PythonRuntime) throws -> ConnectOptions {
        switch self {
        case .controller(let controller): try controller.options(options, running: runtime)
        case .context(let context): try context.options(options, running: runtime)
        }
    }

    func makeChannel<Sent, Received>(
        sending: Sent.Type, receiving: Received.Type
    ) -> (ChannelEnd<Sent, Received>, ChannelEnd<Received, Sent>) {
        switch self {
        case .controller(let controller): controller.makeChannel(sending: sending, receiving: receiving)
        case .context(let context): context.makeChannel(sending: sending, receiving: receiving)
        }
    }
}

/// How a member is reached: from where the group begins, or through a gateway.
private struct Approach: Sendable {
    let origin: GroupOrigin
    let gateways: GatewayPlace?
    let prompts: (any PromptResponder)?

    func connect(
        through connectors: [any Connector], _ options: ConnectOptions,
        _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?
    ) async throws -> Context {
        try await connect { gateway in
            try await (gateway.map { .context($0) } ?? origin).connect(through: connectors, options, prompts, onPhase)
        }
    }

    func connect(_ body: (_ gateway: Context?) async throws -> Context) async throws -> Context {
        guard let gateways else { return try await body(nil) }
        return try await gateways.set.connect(gateways.member, named: gateways.name, body)
    }

    func isThere(_ context: Context) -> Bool { context.hasLink && gateways?.set.isOpen(context) != false }

    func close(_ context: Context, within limit: Duration) async {
        await context.close(within: limit)
        gateways?.set.ended(context)
    }
}

/// One member's connections, which all groups share that it is in.
final class GroupHost: Sendable {
    let origin: GroupOrigin
    let spec: MemberSpec
    /// What it is behind.
    let gateways: GatewayPlace?
    let native: LazyConnection<Context>
    private let options: GroupOptions
    private let approach: Approach
    private let pythons = Mutex<[PythonRuntime: LazyConnection<PythonContext>]>([:])
    let facts = Mutex<HostFacts?>(nil)
    /// As a gateway: how many connections there are through it, or are being made.
    let uses = Mutex(0)

    init(_ origin: GroupOrigin, _ spec: MemberSpec, _ options: GroupOptions, behind gateways: GatewayPlace? = nil) {
        (self.origin, self.spec, self.options, self.gateways) = (origin, spec, options, gateways)
        let approach = Approach(origin: origin, gateways: gateways, prompts: options.prompts)
        self.approach = approach
        native = LazyConnection { onPhase in
            switch spec.way {
            case .connectors(let connectors):
                try await approach.connect(through: connectors, options.connect, onPhase)
            case .custom(let connect, takesGateway: _): try await approach.connect { try await connect($0, onPhase) }
            case .context(let context):
                // It was closed, or lost, and only who made it knows how.
                if context.hasLink {
                    context
                } else {
                    throw MartletError(
                        .contextLost, "the context is gone", route: context.route,
                        advice: "make the group of specs instead of contexts: then it is connected anew")
                }
            }
        } isThere: {
            approach.isThere($0)
        } isGone: {
            await $0.isGone()
        } end: { context, limit in
            await approach.close(context, within: limit)
        }
    }

    func python(_ runtime: PythonRuntime) -> LazyConnection<PythonContext> {
        pythons.withLock { pythons in
            if let connection = pythons[runtime] { return connection }
            let connection = makePython(runtime)
            pythons[runtime] = connection
            return connection
        }
    }

    private func makePython(_ runtime: PythonRuntime) -> LazyConnection<PythonContext> {
        LazyConnection { [origin, spec, options, native, approach] onPhase in
            guard case .connectors(let connectors) = spec.way else {
                return try await native.value(onPhase).python(runtime)
            }
            let connect = try origin.options(options.connect, running: runtime)
            return PythonContext(try await approach.connect(through: connectors, connect, onPhase), runtime)
        } isThere: { [approach] in
            approach.isThere($0.context)
        } isGone: {
            await $0.context.isGone()
        } end: { [approach] python, limit in
            await python.close(within: limit)
            approach.gateways?.set.ended(python.context)
        }
    }

    var pythonConnections: [LazyConnection<PythonContext>] { pythons.withLock { Array($0.values) } }

    func close(within limit: Duration) async {
        // Those of Python may run below the native one.
        await withTaskGroup(of: Void.self) { group in
            for python in pythonConnections { group.addTask { await python.close(within: limit) } }
        }
        await native.close(within: limit)
    }
}
