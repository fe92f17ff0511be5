import Martlet

/// What came of a run on all hosts.
struct RunSummary: Sendable {
    var outcomes: [HostOutcome<CommandResult>]
    var duration: Duration
    var interruption: Interruption.Cause?

    enum Verdict: Sendable {
        case succeeded
        case failed
        case unreachable
        case interrupted
        case notStarted
    }

    func count(_ verdict: Verdict) -> Int { outcomes.count { $0.verdict == verdict } }

    /// With what the program exits, if nothing ended it early.
    var exitStatus: Int32 {
        if count(.unreachable) > 0 { return ExitStatus.unreachable }
        return count(.succeeded) == outcomes.count ? ExitStatus.success : ExitStatus.failed
    }
}

extension HostOutcome<CommandResult> {
    var verdict: RunSummary.Verdict {
        switch result {
        case .value(let result): result.succeeded ? .succeeded : .failed
        case .failed: isUnreachable ? .unreachable : .failed
        case .interrupted: .interrupted
        case .notStarted: .notStarted
        }
    }

    /// Why it did not succeed, on one line; nil if it did.
    var reason: String? {
        switch result {
        case .value(let result):
            switch result.termination {
            case .exited(0): nil
            case .exited(let code): "exit code \(code)"
            case .signalled: "ended by signal \(result.termination.signalName ?? "?")"
            case .timedOut(let limit): "timed out after \(Format.limit(limit))"
            }
        case .failed(let error): HarmlessText.of(error.message)
        case .interrupted: timings == nil ? "interrupted while connecting" : "interrupted"
        case .notStarted: "not started"
        }
    }
}
