import Martlet
import MartletFleet

/// What came of one host.
struct HostResult<Value: Sendable>: Sendable {
    let host: Host
    let outcome: MemberOutcome<Value>
    /// Nil if it was not connected.
    let timings: ConnectTimings?
    /// From the start of the first connect to the end of the work.
    let duration: Duration
    /// Everything had to end before its turn had come.
    let isNotStarted: Bool

    init(_ host: Host, _ result: MemberResult<Value>, _ interruption: Interruption.Cause?) {
        (self.host, outcome, timings, duration) = (host, result.outcome, result.timings, result.duration)
        isNotStarted = result.outcome.kind == .skipped && interruption != nil
    }

    var value: Value? { outcome.value }

    /// It was under way, or not begun, when everything had to end.
    var wasInterrupted: Bool { outcome.kind == .cancelled || isNotStarted }

    /// Why it was not begun, unless that was an interruption.
    var skipReason: String? { if case .skipped(let reason) = outcome, !isNotStarted { reason } else { nil } }

    /// The connection was lost after it had begun: nobody knows how far it came.
    var wasLost: Bool { outcome.kind == .unreachable && timings != nil }

    /// It was not connected, or the connection was lost.
    var isUnreachable: Bool { outcome.kind == .unreachable || (outcome.kind == .timedOut && timings == nil) }

    /// What went wrong, but for a command that ended as it did, or files that were not copied: those are results.
    var error: MartletError? {
        switch outcome {
        case .failed(let error), .timedOut(let error), .unreachable(let error):
            if error is CommandError || error is IncompleteTransfer { return nil }
            if let error = error as? MartletError { return error.ofCommandLine }
            if let error = error as? MemberDeadlineError {
                return MartletError(
                    .deadlineExceeded,
                    "\(timings == nil ? "not reached" : "not done") within the \(Format.limit(error.limit)) of --deadline"
                )
            }
            return MartletError(.misuse, "\(error)")
        case .ok, .cancelled, .skipped: return nil
        }
    }
}

extension MartletError {
    /// What the library calls by its own names has other ones here.
    fileprivate var ofCommandLine: MartletError {
        var error = self
        error.advice = advice?.replacing(": createsParents", with: ": --parents")
        return error
    }
}

extension HostResult<CommandResult> {
    /// How the command ended, whether it succeeded or not.
    var command: CommandResult? {
        value ?? (outcome.error as? CommandError)?.result
    }
}

extension HostResult<TransferSummary> {
    /// What was copied, be it all or not.
    var transfer: TransferSummary? {
        value ?? (outcome.error as? IncompleteTransfer)?.summary
    }
}

/// What came of all hosts, in their order.
struct FleetResults<Value: Sendable>: Sendable {
    let hosts: [HostResult<Value>]
    /// What ended it early, or would have, had there been more to begin; see ``RunSummary/stop``.
    let stop: FleetStop?
}

extension JSONObject {
    /// How it ended with a host, whatever was done there.
    mutating func add<Value>(endOf result: HostResult<Value>) {
        add("interrupted", result.wasInterrupted)
        add("skipped", result.skipReason)
        add("connect", result.timings?.total)
        add("duration", result.duration)
        add("error", result.error.map(JSONObject.init(error:)))
    }
}
