import Glibc
package import Martlet
import Synchronization

/// A program's handler of output that blocks its thread, as a terminal that is stopped does, until it is let go.
package final class BlockingHandler: Sendable {
    private let state = Mutex((isHeld: true, entered: false))
    private let lines = Mutex<[String]>([])

    package init() {}

    package func options(heartbeatLimit: Duration = .seconds(15)) -> MartletOptions {
        var options = MartletOptions()
        options.heartbeatLimit = heartbeatLimit
        options.onOutput = { [self] line in
            state.withLock { $0.entered = true }
            while state.withLock({ $0.isHeld }) { usleep(1000) }
            // What is long is filled up with this.
            lines.withLock { $0.append(String(line.text.prefix { $0 != "x" })) }
        }
        return options
    }

    package func release() { state.withLock { $0.isHeld = false } }
    package var hasEntered: Bool { state.withLock { $0.entered } }
    package var texts: [String] { lines.withLock { $0 } }
}
