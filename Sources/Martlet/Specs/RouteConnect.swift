/// Connects hop by hop, each through the one before.
///
/// The contexts between belong to the last: they end with it, nearest last. What was connected before a hop that fails, or
/// before the caller is cancelled, is closed.
enum RouteConnect {
    typealias OnPhase = @Sendable (Route, ConnectPhase, Duration) -> Void

    /// - Parameters:
    ///   - start: where the first hop begins.
    ///   - first: connects the first hop.
    static func run(
        _ connectors: [any Connector],
        from start: Route,
        _ options: ConnectOptions,
        _ prompts: (any PromptResponder)?,
        _ onPhase: OnPhase?,
        first: (any Connector, ConnectOptions, (@Sendable (ConnectPhase, Duration) -> Void)?) async throws -> Context
    ) async throws -> Context {
        guard let nearest = connectors.first else {
            throw MartletError(.misuse, "a route needs at least one hop", route: start)
        }
        // Another runtime is for the end of the route: only our own image leads on.
        var between = options
        between.script = nil
        var context = try await first(
            nearest, connectors.count == 1 ? options : between, handler(onPhase, start.appending(nearest.label)))
        for (index, connector) in connectors.enumerated().dropFirst() {
            do {
                context = try await context.next(
                    connector, index == connectors.count - 1 ? options : between, prompts,
                    handler(onPhase, context.route.appending(connector.label)))
            } catch {
                // Also for who was cancelled: closing does not stop for that.
                await context.close(within: .seconds(2))
                throw error
            }
        }
        return context
    }

    private static func handler(
        _ onPhase: OnPhase?, _ route: Route
    ) -> (@Sendable (ConnectPhase, Duration) -> Void)? {
        guard let onPhase else { return nil }
        return { phase, time in onPhase(route, phase, time) }
    }
}

extension Context {
    /// Connects one hop further; this context then belongs to that one.
    fileprivate func next(
        _ connector: any Connector, _ options: ConnectOptions, _ prompts: (any PromptResponder)?,
        _ onPhase: (@Sendable (ConnectPhase, Duration) -> Void)?
    ) async throws -> Context {
        var options = options
        // One deadline for all hops. Turns that were waited for do not count.
        options.deadline -= timings.total
        guard options.deadline > .zero else {
            throw MartletError(
                .connectTimedOut, "no time was left for this hop of the route",
                route: route.appending(connector.label), phase: .queue,
                advice: "give the connect more time, if the hops before are slow as they should be")
        }
        let context = try await connect(connector, options: options, prompts: prompts, onPhase: onPhase)
        var timings = context.timings
        timings.phases.merge(self.timings.phases, uniquingKeysWith: +)
        timings.wasCached = timings.wasCached && self.timings.wasCached
        timings.bytesSent += self.timings.bytesSent
        return Context(
            address: context.address, route: context.route, facts: context.facts, timings: timings, runtime: runtime,
            bridge: self)
    }
}

extension Controller {
    /// Starts a context at the end of a route: `martlet.connect("ssh:bastion/sudo:postgres")`. See ``RouteSpec``.
    ///
    /// The contexts on the way end with it. Its timings are those of all hops together, and so is the deadline.
    ///
    /// - Parameters:
    ///   - spec: how it is reached.
    ///   - onPhase: told as each phase of a hop is over: the route to the hop, and the phase's time.
    /// - Throws: ``SpecError`` if the spec is none; as ``connect(_:options:prompts:onPhase:)``.
    public func connect(
        _ spec: String,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        try await connect(RouteSpec(spec), options: options, prompts: prompts, onPhase: onPhase)
    }

    /// Starts a context at the end of a route that was read before.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)``.
    public func connect(
        _ spec: RouteSpec,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        try await connect(
            through: spec.hops.map(\.connector), options: options, prompts: prompts, onPhase: onPhase)
    }

    package func connect(
        through connectors: [any Connector],
        options: ConnectOptions,
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)?
    ) async throws -> Context {
        try await RouteConnect.run(connectors, from: Route(), options, prompts, onPhase) {
            try await connect($0, options: $1, prompts: prompts, onPhase: $2)
        }
    }

    /// Runs `body` with a context at the end of a route, which ends when `body` does, and so do those on the way.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)``, and what `body` throws.
    public func withContext<R>(
        _ spec: String,
        options: ConnectOptions = .init(),
        _ body: (Context) async throws -> R
    ) async throws -> R {
        try await connect(spec, options: options).closing(body)
    }
}

extension Context {
    /// Starts a context at the end of a route that begins on this context's machine. See ``RouteSpec``.
    ///
    /// The contexts on the way end with it, but not this one.
    ///
    /// - Throws: ``SpecError`` if the spec is none; as ``connect(_:options:prompts:onPhase:)``.
    public func connect(
        _ spec: String,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        try await connect(RouteSpec(spec), options: options, prompts: prompts, onPhase: onPhase)
    }

    /// Starts a context at the end of a route that was read before, and that begins on this context's machine.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)``.
    public func connect(
        _ spec: RouteSpec,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        try await connect(through: spec.hops.map(\.connector), options: options, prompts: prompts, onPhase: onPhase)
    }

    package func connect(
        through connectors: [any Connector],
        options: ConnectOptions,
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)?
    ) async throws -> Context {
        try await RouteConnect.run(connectors, from: route, options, prompts, onPhase) {
            try await connect($0, options: $1, prompts: prompts, onPhase: $2)
        }
    }

    /// Runs `body` with a context at the end of a route, which ends when `body` does, and so do those on the way.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)``, and what `body` throws.
    public func withContext<R>(
        _ spec: String,
        options: ConnectOptions = .init(),
        _ body: (Context) async throws -> R
    ) async throws -> R {
        try await connect(spec, options: options).closing(body)
    }
}

extension RemoteContext {
    /// Starts a context below this one, at the end of a route, from within a task. See ``RouteSpec``.
    ///
    /// - Throws: ``SpecError`` if the spec is none; as ``Controller/connect(_:options:prompts:onPhase:)``.
    public func connect(_ spec: String, options: ConnectOptions = .init()) async throws -> Context {
        try await RouteConnect.run(RouteSpec(spec).hops.map(\.connector), from: scope.runtime.route, options, nil, nil)
        {
            connector, options, _ in
            try await connect(connector, options: options)
        }
    }
}
