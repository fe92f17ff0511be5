import Martlet

/// What came of one host.
struct HostOutcome<Value: Sendable>: Sendable {
    enum Result: Sendable {
        case value(Value)
        case failed(MartletError)
        /// It was under way when everything had to end.
        case interrupted
        /// Its turn had not come when everything had to end.
        case notStarted
    }

    var host: Host
    var result: Result
    /// Nil if it was not connected.
    var timings: ConnectTimings?
    /// From the start of the connect to the end of the work.
    var duration: Duration

    /// It was not connected, or the connection was lost.
    var isUnreachable: Bool {
        guard case .failed(let error) = result else { return false }
        return timings == nil || error.code == .contextLost
    }
}
