import Martlet
import MartletFleet

/// What came of a host, as it is told and kept.
enum Verdict: String, Sendable, CaseIterable {
    case succeeded
    case failed
    /// It was not connected: nothing was done there.
    case unreachable
    /// The connection was lost after it had begun: what it did may have been done.
    case lost
    /// It was under way when everything had to end.
    case interrupted
    /// Its turn had not come when everything had to end.
    case notStarted
    /// Its turn did not come, as too much had failed.
    case skipped

    /// As people say it.
    var words: String {
        switch self {
        case .unreachable: "not reached"
        case .notStarted: "not started"
        default: rawValue
        }
    }

    /// How it looks.
    func paint(_ text: String, _ style: Style) -> String {
        switch self {
        case .succeeded: style.good(text)
        case .failed, .unreachable, .lost: style.bad(text)
        case .interrupted, .notStarted, .skipped: style.warning(text)
        }
    }
}

extension HostResult {
    var verdict: Verdict {
        switch outcome.kind {
        case .ok: .succeeded
        case .cancelled: .interrupted
        case .skipped: isNotStarted ? .notStarted : .skipped
        case .failed, .timedOut, .unreachable: wasLost ? .lost : isUnreachable ? .unreachable : .failed
        }
    }

    /// Why it did not succeed, on one line; nil if it did.
    var reason: String? {
        switch outcome {
        case .ok: nil
        case .cancelled: timings == nil ? "interrupted while connecting" : "interrupted"
        case .skipped(let reason): isNotStarted ? "not started" : HarmlessText.of(reason)
        case .failed(let error), .timedOut(let error), .unreachable(let error):
            (error as? CommandError)?.result.termination.words ?? (error as? IncompleteTransfer)?.description
                ?? self.error.map { HarmlessText.of($0.message) }
        }
    }
}

extension Termination {
    /// How a command ended, for people.
    var words: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled: "ended by signal \(signalName ?? "?")"
        case .timedOut(let limit): "timed out after \(Format.limit(limit))"
        }
    }
}
