/// How a connect is to be made. All of it has defaults.
public struct ConnectOptions: Sendable, Codable {
    /// For all of it, from the first byte to the last. Default: 30 s. Waiting for a turn does not count.
    public var deadline = Duration.seconds(30)
    /// Where the far machine may keep the image. Default: ``ImagePolicy/disk``.
    public var policy = ImagePolicy.disk
    /// What `ps` shows for the agent. Default: `martlet:USER@HOST:PID` of the controller. No slash, no control character.
    public var title: String?
    /// What is to run there instead of an image. Default: an image.
    package var script: RuntimeScript?

    /// The defaults.
    public init() {}
}

extension ConnectTimings {
    /// As another context may claim them, with which one can calculate.
    var clamped: ConnectTimings {
        var timings = self
        timings.phases = phases.mapValues(\.clamped)
        return timings
    }
}

/// How long each phase of a connect took.
public struct ConnectTimings: Sendable, Codable, Hashable {
    /// The time of each phase that was gone through.
    public var phases: [ConnectPhase: Duration] = [:]
    /// Whether the far side had the image already.
    public var wasCached = true
    /// Bytes that were sent of the image, or of another runtime.
    public var bytesSent = 0

    /// All phases together, without waiting for a turn.
    public var total: Duration { phases.filter { $0.key != .queue }.values.reduce(.zero, +) }

    /// The defaults.
    public init() {}
}
