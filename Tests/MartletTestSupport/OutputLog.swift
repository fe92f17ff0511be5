package import Martlet
import Synchronization

/// Keeps the lines that contexts print, in the order in which they come.
package final class OutputLog: Sendable {
    private let lines = Mutex<[ContextOutput]>([])

    package init() {}

    /// Options of a scope whose contexts print into this log.
    package var options: MartletOptions {
        var options = MartletOptions()
        options.onOutput = { [self] line in lines.withLock { $0.append(line) } }
        return options
    }

    package var all: [ContextOutput] { lines.withLock { $0 } }

    /// The lines of one pipe as text.
    package func texts(_ pipe: OutputLine.Pipe = .output) -> [String] {
        all.filter { $0.pipe == pipe }.map(\.text)
    }

    /// The first line that contains `text`.
    package func line(with text: String) -> ContextOutput? { all.first { $0.text.contains(text) } }
}
