import Martlet

/// Has the hub connect a host, unless it is connected.
struct HubOpen: RemoteTask {
    var target: HubTarget

    struct Opened: Codable, Sendable {
        var timings: ConnectTimings
        var wasThere: Bool
    }

    func run(in context: RemoteContext) async throws(MartletError) -> Opened {
        try await telling {
            let (context, wasThere) = try await HubPool.of(context).context(target)
            return Opened(timings: context.timings, wasThere: wasThere)
        }
    }
}

/// Runs a command in a context of the hub.
struct HubRun: RemoteTask {
    var target: HubTarget
    /// One: a line of shell. More: a program and its arguments.
    var words: [String]
    var environment: [String: String?]
    var directory: String?
    var timeout: Duration?
    var lines: Channel<OutputLine>

    struct Ended: Codable, Sendable {
        var exitCode: Int32?
        var signal: Int32?
        var duration: Duration
        var route: [String]
    }

    func run(in context: RemoteContext) async throws(MartletError) -> Ended {
        try await telling {
            var options = CommandOptions()
            options.environment = environment
            options.directory = directory
            options.timeout = timeout
            options.outputLimit = 0
            let settled = options
            let result = try await HubPool.of(context).using(target) { context in
                let onLine: @Sendable (OutputLine) async throws -> Void = { try await lines.send($0) }
                return words.count == 1
                    ? try await context.run(words[0], options: settled, onLine: onLine)
                    : try await context.run(
                        executable: words[0], arguments: Array(words[1...]), options: settled, onLine: onLine)
            }
            lines.finish()
            // Not set one after the other in a variable: Swift 6.3 with optimisation then sets both.
            let code: Int32? = if case .exited(let code) = result.termination { code } else { nil }
            let signal: Int32? = if case .signalled(let number) = result.termination { number } else { nil }
            return Ended(exitCode: code, signal: signal, duration: result.duration, route: result.route.steps)
        }
    }
}

/// What the hub has.
struct HubStatus: Codable, Sendable {
    var processID: Int32
    var uptime: Duration
    /// Who is connected to the hub, whoever asks among them.
    var guests: Int
    var contexts: [Entry]

    struct Entry: Codable, Sendable {
        var target: HubTarget
        /// `nil`: it is being connected.
        var route: [String]?
        var user: String?
        var host: String?
        /// Since it was used.
        var idle: Duration
        /// How many commands it has had, and has.
        var uses: Int
        var running: Int
        /// Over the link that leads to it, which others may share.
        var bytesSent: UInt64?
        var bytesReceived: UInt64?
    }
}

struct HubStatusTask: RemoteTask {
    func run(in context: RemoteContext) async throws(MartletError) -> HubStatus {
        try await telling { try HubPool.of(context).status }
    }
}

/// Ends the hub.
struct HubEnd: RemoteTask {
    /// - Returns: how many contexts it had.
    func run(in context: RemoteContext) async throws(MartletError) -> Int {
        try await telling { try HubPool.of(context).end() }
    }
}

extension HubPool {
    fileprivate static func of(_ context: RemoteContext) throws -> HubPool {
        guard let pool = context.provided as? HubPool else { throw MartletError(.misuse, "this is no hub") }
        return pool
    }
}

/// What goes wrong in the hub is told as it is.
private func telling<R>(_ body: () async throws -> R) async throws(MartletError) -> R {
    do { return try await body() } catch {
        throw error as? MartletError
            ?? MartletError(.misuse, error is CancellationError ? "cancelled" : "\(error)")
    }
}
