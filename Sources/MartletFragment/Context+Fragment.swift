public import Martlet

/// How a fragment is to run. All of it has defaults.
public struct FragmentOptions: Sendable {
    /// What it finds in `CommandLine.arguments`, behind its own name.
    public var arguments: [String] = []
    /// Variables to set, or with `nil` to remove, in the environment that the context has.
    public var environment: [String: String?] = [:]
    /// Where it runs. Default: where the context was started.
    public var directory: String?
    /// How long it may take. Then its process group gets SIGTERM, after ``killGrace`` SIGKILL. Default: as long as it wants.
    public var timeout: Duration?
    /// Default: 2 s.
    public var killGrace = Duration.seconds(2)
    /// Added to the context's nice level.
    public var nice = 0

    /// The defaults.
    public init() {}

    var command: CommandOptions {
        var options = CommandOptions()
        options.environment = environment
        options.directory = directory
        options.timeout = timeout
        options.killGrace = killGrace
        options.nice = nice
        return options
    }
}

extension Context {
    /// Compiles source by this machine's own Swift compiler, and runs it beside the context. What was compiled is kept, here
    /// and there: the same source a second time costs neither the compiler nor the way.
    ///
    /// The source is plain top-level Swift: it may import what comes with the compiler, and `await`. In scope is `channel`,
    /// with `send(_:)`, `receive(as:)` (`nil` at the end, every time), `items(of:)`, `isClosed`, `finish()` and `close()`,
    /// which block. It has begun when this returns, or soon after; it ends with its context, or by ``SwiftFragment/cancel()``.
    ///
    /// - Parameters:
    ///   - file: what the compiler's messages and the fragment's errors call the source.
    ///   - sending: what goes to the fragment.
    ///   - receiving: what comes from it.
    ///   - onLine: gets each line that it prints; while it waits, so does the fragment. `nil`: they go to
    ///     ``MartletOptions/onOutput``, as the context's output.
    /// - Throws: ``FragmentCompileError``; ``MartletError`` `noCompiler`, `deadlineExceeded` if the compiler takes too long,
    ///   `wrongPlatform`; `CancellationError`.
    public func exec<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>(
        swift source: String, file: String = "fragment.swift", options: FragmentOptions = .init(),
        compiler: SwiftCompiler = .init(), sending: Outgoing.Type = Never.self, receiving: Incoming.Type = Never.self,
        onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) async throws -> SwiftFragment<Outgoing, Incoming> {
        try compiler.check(self)
        let compiled = try await compiler.compile(source, file: file)
        return try exec(compiled, options: options, sending: sending, receiving: receiving, onLine: onLine)
    }

    /// Runs what was compiled beside the context; see ``exec(swift:file:options:compiler:sending:receiving:onLine:)``.
    ///
    /// - Throws: ``MartletError`` `wrongPlatform`.
    public func exec<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>(
        _ fragment: CompiledFragment, options: FragmentOptions = .init(), sending: Outgoing.Type = Never.self,
        receiving: Incoming.Type = Never.self, onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) throws -> SwiftFragment<Outgoing, Incoming> {
        try fragment.check(self)
        let (near, far) = makeChannel(sending: Outgoing.self, receiving: Incoming.self)
        return SwiftFragment(near) { [self] in
            do {
                let result = try await run(
                    image: fragment.image, name: fragment.file, arguments: options.arguments, options: options.command,
                    channel: far, onLine: onLine)
                if let error = FragmentError(result, fragment.file, route) { throw error }
                far.close()
            } catch is CancellationError {
                far.close()
                throw CancellationError()
            } catch let error as MartletError where error.code == .contextLost {
                far.close(throwing: error)
                throw error
            } catch {
                far.close(throwing: FragmentFailed(description: "\(error)"))
                throw error
            }
        }
    }
}

/// Tells the channel's reader to ask how the process has ended.
private struct FragmentFailed: Error, CustomStringConvertible {
    var description: String
}
