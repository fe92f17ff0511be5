package import Martlet
import Synchronization

/// Keeps what a connect told of its phases.
package final class Phases: Sendable {
    private let phases = Mutex<[(ConnectPhase, Duration)]>([])

    package init() {}

    package func add(_ phase: ConnectPhase, _ time: Duration) { phases.withLock { $0.append((phase, time)) } }
    package var names: [ConnectPhase] { phases.withLock { $0.map(\.0) } }
}
