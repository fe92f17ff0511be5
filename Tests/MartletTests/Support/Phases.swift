import Martlet
import Synchronization

/// Keeps what a connect told of its phases.
final class Phases: Sendable {
    private let phases = Mutex<[(ConnectPhase, Duration)]>([])
    func add(_ phase: ConnectPhase, _ time: Duration) { phases.withLock { $0.append((phase, time)) } }
    var names: [ConnectPhase] { phases.withLock { $0.map(\.0) } }
}
