import MartletReactor

/// Why a link ended.
enum LinkEnd: Sendable, CustomStringConvertible {
    /// The other end closed it.
    case closed
    /// The other end closed it because the program that held it ended, the agent itself or the one in front of it.
    case ended(ExitStatus)
    /// We closed it.
    case finished
    /// The context below it lives on without it.
    case detached
    case silent(seconds: Double)
    case violated(String)
    case failed(String)

    /// Whether this end asked for it.
    var isWanted: Bool {
        switch self {
        case .finished, .detached: true
        default: false
        }
    }

    var isDetached: Bool { if case .detached = self { true } else { false } }

    var description: String {
        switch self {
        case .closed: "the connection was closed by the other side"
        case .ended(.exited(let code)):
            "the connection was closed by the other side: its process exited with code \(code)"
        case .ended(.signalled(let signal)):
            "the connection was closed by the other side: its process was ended by signal \(SignalName.of(signal))"
        case .finished: "the connection was closed"
        case .detached: "the context was detached, and lives on by itself"
        case .silent(let seconds): "nothing was heard for \(Int(seconds)) second\(Int(seconds) == 1 ? "" : "s")"
        case .violated(let what): "the other side broke the protocol: \(what)"
        case .failed(let what): "the connection failed: \(what)"
        }
    }
}
