import Martlet
import Synchronization

/// Gathers the lines of a command.
final class Lines: Sendable {
    private let lines = Mutex<[OutputLine]>([])

    @Sendable func append(_ line: OutputLine) { lines.withLock { $0.append(line) } }

    var texts: [String] { lines.withLock { $0.map(\.text) } }
    func texts(_ pipe: OutputLine.Pipe) -> [String] { lines.withLock { $0.filter { $0.pipe == pipe }.map(\.text) } }
}
