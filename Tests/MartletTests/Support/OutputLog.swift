import Martlet
import Synchronization

/// Keeps the lines that contexts print, in the order in which they come.
final class OutputLog: Sendable {
    private let lines = Mutex<[ContextOutput]>([])

    /// Options of a scope whose contexts print into this log.
    var options: MartletOptions {
        var options = MartletOptions()
        options.onOutput = { [self] line in lines.withLock { $0.append(line) } }
        return options
    }

    var all: [ContextOutput] { lines.withLock { $0 } }

    /// The lines of one pipe as text.
    func texts(_ pipe: OutputLine.Pipe = .output) -> [String] {
        all.filter { $0.pipe == pipe }.map(\.text)
    }

    /// The first line that contains `text`.
    func line(with text: String) -> ContextOutput? { all.first { $0.text.contains(text) } }
}
