import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Our terminal while keys are the far machine's: nothing is shown, gathered into lines or made a signal here. It is as before
/// when this is closed, released, or when the program is ended by a signal.
package final class RawTerminal: Sendable {
    // One at a time: the program has one standard input.
    private static let before = Mutex<termios?>(nil)

    /// - Returns: `nil` if standard input is no terminal.
    package init?() {
        var settings = termios()
        guard tcgetattr(0, &settings) == 0 else { return nil }
        let before = settings
        Self.before.withLock { $0 = before }
        cfmakeraw(&settings)
        tcsetattr(0, TCSADRAIN, &settings)
    }

    deinit { Self.restore() }

    package func close() { Self.restore() }

    /// Makes the terminal what it was.
    package static func restore() {
        before.withLock { before in
            guard var settings = before else { return }
            before = nil
            tcsetattr(0, TCSADRAIN, &settings)
        }
    }
}
