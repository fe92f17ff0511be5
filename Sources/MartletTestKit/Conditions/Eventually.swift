public import Testing

/// Waits until a condition holds, and records an issue where it was called if it does not hold in time.
///
/// This is the tool for every wait in a test. It asks often at first and then every 20 ms, so a condition that comes true
/// soon costs next to nothing, and a slow machine only makes the test slower, never wrong.
///
/// ```swift
/// await eventually { ProcessTable.entry(of: pid) == nil }
/// ```
///
/// - Parameters:
///   - limit: How long to wait. Default 10 s.
///   - what: What is awaited, for the issue.
///   - sourceLocation: Where the issue is recorded: the caller.
///   - condition: What must come true. An error that it throws counts as "not yet" and is told in the issue.
/// - Returns: Whether the condition came true.
@discardableResult
public func eventually(
    within limit: Duration = .seconds(10),
    _ what: String = "the condition",
    sourceLocation: SourceLocation = #_sourceLocation,
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async -> Bool {
    switch await poll(within: limit, condition) {
    case .held:
        return true
    case .cancelled:
        Issue.record("\(what) was awaited when the task was cancelled", sourceLocation: sourceLocation)
    case .late(let error):
        let reason = error.map { "; the last try threw: \($0)" } ?? ""
        Issue.record("\(what) did not hold within \(limit)\(reason)", sourceLocation: sourceLocation)
    }
    return false
}

/// How a wait ended.
enum PollOutcome {
    case held
    case late((any Error)?)
    case cancelled
}

/// Asks `condition` until it holds: at once, then after pauses that grow from 1 ms to 20 ms.
func poll(
    within limit: Duration,
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async -> PollOutcome {
    let deadline = ContinuousClock.now.advanced(by: limit)
    var pause = Duration.milliseconds(1)
    while true {
        var failure: (any Error)?
        do {
            if try await condition() { return .held }
        } catch {
            failure = error
        }
        if ContinuousClock.now >= deadline { return .late(failure) }
        do {
            try await Task.sleep(for: pause)
        } catch {
            return .cancelled
        }
        pause = min(pause * 2, .milliseconds(20))
    }
}

/// Waits until a condition holds, for the kit's own helpers.
///
/// - Throws: ``TestKitError`` with code `timedOut` at the deadline, `CancellationError` when the task is cancelled.
func require(
    _ what: String,
    within limit: Duration,
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    switch await poll(within: limit, condition) {
    case .held: return
    case .cancelled: throw CancellationError()
    case .late(let error):
        let reason = error.map { ": \($0)" } ?? ""
        throw TestKitError(code: .timedOut, message: "\(what) did not happen within \(limit)\(reason)")
    }
}

/// Runs a clean-up to its end even if the surrounding task is cancelled.
///
/// Unstructured on purpose: a cancelled task cannot pause, and a clean-up that gives up leaves processes behind.
func uncancelled<Result: Sendable>(_ body: sending @escaping () async -> Result) async -> Result {
    await Task(operation: body).value
}
