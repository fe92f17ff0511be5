package import Martlet
import Synchronization

/// Gathers the lines of a command.
package final class Lines: Sendable {
    private let lines = Mutex<[OutputLine]>([])

    package init() {}

    @Sendable package func append(_ line: OutputLine) { lines.withLock { $0.append(line) } }

    package var texts: [String] { lines.withLock { $0.map(\.text) } }
    package func texts(_ pipe: OutputLine.Pipe) -> [String] {
        lines.withLock { $0.filter { $0.pipe == pipe }.map(\.text) }
    }
}
