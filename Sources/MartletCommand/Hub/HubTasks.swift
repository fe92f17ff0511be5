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

/// What the hub has.
struct HubStatus: Codable, Sendable {
    var processID: Int32
    var uptime: Duration
    /// Who is connected to the hub, whoever asks among them.
    var guests: Int
    var contexts: [Entry]

    struct Entry: Codable, Sendable {
        var target: HubTarget
        var isLost: Bool
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
        try await telling { try await HubPool.of(context).status() }
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
