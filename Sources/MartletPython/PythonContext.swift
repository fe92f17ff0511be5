public import Martlet

/// A context whose runtime is the far machine's own Python.
///
///     let py = try await martlet.connect(.ssh("old-box"), runtime: .python)
///     let load: [Double] = try await py.call("os.getloadavg")
///
/// What Python code prints comes to ``MartletOptions/onOutput``, and what it logs by `logging` to this program's logging
/// system, as from any context. It lives until it is closed, the scope or the context that started it ends, or it is lost.
/// Programs that its code starts end with it, however it ends, unless they leave its process group.
public final class PythonContext: Sendable {
    package let context: Context
    let runtime: PythonRuntime
    let operations = PythonOperations()

    /// - Parameter context: one that was started with `options(_:running:)`.
    package init(_ context: Context, _ runtime: PythonRuntime) {
        self.context = context
        self.runtime = runtime
    }

    /// How it was reached.
    public var route: Route { context.route }
    /// What it said of the machine, and of the interpreter, when it came up.
    public var facts: Facts { context.facts }
    /// How long each phase of the connect took.
    public var timings: ConnectTimings { context.timings }
    /// Whether the link that leads to it is still there.
    package var hasLink: Bool { context.hasLink }

    /// Calls a function.
    ///
    /// Several calls run at once: the first that finds it free in the main thread, up to 64 more in threads of their own.
    ///
    /// - Parameters:
    ///   - function: `module:Class.method`, or `package.module.function`, or the name of a builtin. Modules are found as
    ///     Python finds them there, but for those of the current directory.
    ///   - arguments: anything that encodes: ``PythonValue`` for what only Python has, such as tuples. Ends of channels too.
    ///   - kw: keyword arguments.
    ///   - deadline: how long it may take; then the call gets a `KeyboardInterrupt` there, where Python can be interrupted: not in PyPy, and not in C code. `nil`:
    ///     as long as the context lives.
    /// - Throws: ``PythonError`` for an exception; ``MartletError`` `valueUnusable` with the path to what cannot be carried,
    ///   `deadlineExceeded`, `contextLost`, `limitExceeded` above 64 MiB; `CancellationError`.
    public nonisolated(nonsending) func call<Output: Decodable>(
        _ function: String, _ arguments: any Encodable & Sendable..., kw: [String: any Encodable & Sendable] = [:],
        deadline: Duration? = nil, returning: Output.Type = Output.self
    ) async throws -> Output {
        try await call(function, .init(positional: arguments, keywords: kw), deadline)
    }

    /// Calls a function whose result nobody wants.
    ///
    /// - Throws: as ``call(_:_:kw:deadline:returning:)``.
    public nonisolated(nonsending) func call(
        _ function: String, _ arguments: any Encodable & Sendable..., kw: [String: any Encodable & Sendable] = [:],
        deadline: Duration? = nil
    ) async throws {
        let _: NoResult = try await call(function, .init(positional: arguments, keywords: kw), deadline)
    }

    /// Calls a function with arguments whose number is known only now.
    ///
    /// - Throws: as ``call(_:_:kw:deadline:returning:)``.
    public nonisolated(nonsending) func apply(
        _ function: String, _ arguments: [PythonValue], _ kw: [String: PythonValue] = [:], deadline: Duration? = nil
    ) async throws -> PythonValue {
        try await call(function, .init(positional: arguments, keywords: kw), deadline)
    }

    package nonisolated(nonsending) func call<Output: Decodable>(
        _ function: String, _ arguments: PythonArguments, _ deadline: Duration?
    ) async throws -> Output {
        do {
            return try await context.call(
                named: function, arguments, deadline: deadline, returning: Output.self, failure: PythonError.self)
        } catch var error as PythonError {
            error.route = route
            error.advice = advice(error)
            throw error
        }
    }

    /// Python's own words say which module it has not found; where it was looked for here, only we know.
    private func advice(_ error: PythonError) -> String? {
        guard error.type == "ModuleNotFoundError" || error.type == "ImportError" else { return nil }
        let words = error.message.split(separator: "No module named ", maxSplits: 1)
        guard error.message.contains("No module named "), let rest = words.last else { return nil }
        let name = rest.drop { $0 == "'" }.prefix { $0 != "'" && $0 != ";" && $0 != " " }
        return runtime.modules.advice(String(name), on: facts.hostname)
    }

    /// Runs the main script (``PythonModules/script``) as the program that it is: as `__main__`, with `sys.argv`.
    ///
    /// - Parameter deadline: as for a call.
    /// - Returns: its exit status; what it says as it exits comes as its standard error.
    /// - Throws: ``PythonError`` for an exception; else as ``call(_:_:kw:deadline:returning:)``.
    public nonisolated(nonsending) func runScript(
        _ arguments: [String] = [], deadline: Duration? = nil
    ) async throws -> Int {
        guard runtime.modules.script != nil else {
            throw MartletError(
                .misuse, "there is no script to run", route: route,
                advice: "name it in the connect: runtime: .python.importing(script: \"deploy.py\")")
        }
        return try await call("!main", .init(positional: [arguments], keywords: [:]), deadline)
    }

    /// The round trip to the context's I/O side, which answers while Python code runs.
    ///
    /// - Throws: ``MartletError`` `contextLost`, or `deadlineExceeded` after `deadline` (default: 15 s).
    public func ping(deadline: Duration = .seconds(15)) async throws -> Duration {
        try await context.ping(deadline: deadline)
    }

    /// Makes a channel; see ``ChannelEnd``. Both ends are here until one is passed on.
    public func makeChannel<Item>(of: Item.Type = Item.self) -> (Channel<Item>, Channel<Item>) { context.makeChannel() }

    /// Ends the context, and waits until it is gone. Closing what is gone already does nothing.
    ///
    /// - Parameter limit: after this it is made to end. Default: 5 s.
    public func close(within limit: Duration = .seconds(5)) async { await context.close(within: limit) }
}

extension PythonContext: CustomStringConvertible {
    /// The route.
    public var description: String { "\(route)" }
}

extension Controller {
    /// Starts a context whose runtime is Python: no image is sent.
    ///
    /// - Parameters:
    ///   - prompts: answers what the way in asks. Default: ``MartletOptions/prompts``.
    ///   - onPhase: told as each phase of the connect is over, with its time.
    /// - Throws: ``MartletError`` that names the phase, the route, and what the far side said (`noInterpreter` if none is
    ///   there); `CancellationError`.
    public func connect(
        _ connector: some Connector,
        runtime: PythonRuntime,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> PythonContext {
        let options = try self.options(options, running: runtime)
        let context = try await connect(connector, options: options, prompts: prompts, onPhase: onPhase)
        return PythonContext(context, runtime)
    }
}

extension Controller {
    /// Starts a Python context at the end of a route: `martlet.connect("ssh:bastion/ssh:old-box", runtime: .python)`. The
    /// contexts on the way are native. See ``RouteSpec``.
    ///
    /// - Throws: ``SpecError`` if the spec is none; as ``connect(_:runtime:options:prompts:onPhase:)``.
    public func connect(
        _ spec: String,
        runtime: PythonRuntime,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> PythonContext {
        let hops = try RouteSpec(spec).hops.map(\.connector)
        return try await connect(through: hops, runtime: runtime, options: options, prompts: prompts, onPhase: onPhase)
    }

    package func connect(
        through connectors: [any Connector],
        runtime: PythonRuntime,
        options: ConnectOptions,
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> PythonContext {
        let options = try self.options(options, running: runtime)
        let context = try await connect(through: connectors, options: options, prompts: prompts, onPhase: onPhase)
        return PythonContext(context, runtime)
    }
}

extension Context {
    /// Starts a Python context at the end of a route that begins on this context's machine.
    ///
    /// - Throws: ``SpecError`` if the spec is none; as ``connect(_:runtime:options:prompts:onPhase:)``.
    public func connect(
        _ spec: String,
        runtime: PythonRuntime,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (Route, ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> PythonContext {
        let options = try self.options(options, running: runtime)
        let context = try await connect(spec, options: options, prompts: prompts, onPhase: onPhase)
        return PythonContext(context, runtime)
    }

    /// Starts a context through this one whose runtime is Python: no image is sent.
    ///
    /// - Throws: as ``Controller/connect(_:runtime:options:prompts:onPhase:)``.
    public func connect(
        _ connector: some Connector,
        runtime: PythonRuntime,
        options: ConnectOptions = .init(),
        prompts: (any PromptResponder)? = nil,
        onPhase: (@Sendable (ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> PythonContext {
        let options = try self.options(options, running: runtime)
        let context = try await connect(connector, options: options, prompts: prompts, onPhase: onPhase)
        return PythonContext(context, runtime)
    }

    /// Starts a Python context on this context's machine, as its user.
    ///
    /// - Parameter runtime: which Python. Default: the first that is there.
    /// - Throws: as ``connect(_:runtime:options:prompts:onPhase:)``.
    public func python(
        _ runtime: PythonRuntime = .python, options: ConnectOptions = .init()
    ) async throws
        -> PythonContext
    {
        try await connect(.local, runtime: runtime, options: options)
    }
}

extension ResourceOffering {
    /// Options of a connect that starts a Python context.
    package func options(_ options: ConnectOptions, running runtime: PythonRuntime) throws -> ConnectOptions {
        var options = options
        options.script = try runtime.script(try offer(of: runtime.modules))
        return options
    }

    /// What the connect brings along of modules; `nil`: there are none.
    private func offer(of modules: PythonModules) throws -> [UInt8]? {
        guard modules != PythonModules() else { return nil }
        let (token, provider) = offer({ $0.modules == modules && $0.isCurrent() }) { ModuleProvider(modules) }
        return try provider.offer(token)
    }
}
