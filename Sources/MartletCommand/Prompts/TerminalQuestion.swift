import Martlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Asks the person at the terminal, whatever standard input and output are connected to. One question at a time.
actor TerminalQuestion {
    static let shared = TerminalQuestion()

    private var last: Task<Void, Never>?

    /// - Parameters:
    ///   - lines: what to show before the question.
    ///   - isHidden: what is typed is not shown.
    /// - Returns: the answer; `nil` for an end of input (Ctrl-D).
    /// - Throws: ``CommandFailure`` if there is no terminal; `CancellationError`.
    func ask(_ text: String, lines: [String] = [], isHidden: Bool) async throws -> Secret? {
        let former = last
        let question = Task<Secret?, any Error> {
            await former?.value
            try Task.checkCancellation()
            return try await Question(text, lines, isHidden).answer()
        }
        last = Task { _ = try? await question.value }
        return try await withTaskCancellationHandler {
            try await question.value
        } onCancel: {
            question.cancel()
        }
    }

    /// One question. The terminal is as before when it is over, however it ends.
    private final class Question: Sendable {
        private static let longest = 4096

        private struct State {
            var line: [UInt8] = []
            var result: Result<Secret?, any Error>?
            var waiter: CheckedContinuation<Secret?, any Error>?
        }

        private let terminal: Int32
        private let before: termios
        private let state = Mutex(State())

        init(_ text: String, _ lines: [String], _ isHidden: Bool) throws {
            let terminal = open("/dev/tty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            var settings = termios()
            guard terminal >= 0, tcgetattr(terminal, &settings) == 0 else {
                if terminal >= 0 { close(terminal) }
                throw CommandFailure(
                    "there is no terminal to ask on: \(HarmlessText.of(text)) (a file may answer: --password-file, --sudo-password-file)"
                )
            }
            self.terminal = terminal
            before = settings
            if isHidden {
                settings.c_lflag &= ~tcflag_t(ECHO)
                settings.c_lflag |= tcflag_t(ECHONL)
                tcsetattr(terminal, TCSAFLUSH, &settings)
            }
            let words = lines.map { HarmlessText.of($0) + "\n" }.joined() + HarmlessText.of(text) + " "
            writeAll(Array(words.utf8), to: terminal)
        }

        /// To be called once: it closes the terminal.
        func answer() async throws -> Secret? {
            let source = ByteSource(terminal, reactor: .shared, maximumRead: 1024) { [self] bytes in
                received(Array(bytes))
                return true
            } onEnd: { [self] in
                end(.success(nil))
            }
            defer {
                var settings = before
                tcsetattr(terminal, TCSANOW, &settings)
                source.close()
            }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let result = state.withLock { state in
                        if state.result == nil { state.waiter = continuation }
                        return state.result
                    }
                    if let result { return continuation.resume(with: result) }
                    source.resume()
                }
            } onCancel: {
                end(.failure(CancellationError()))
            }
        }

        private func received(_ bytes: [UInt8]) {
            let line = state.withLock { state -> [UInt8]? in
                state.line += bytes.prefix(Self.longest - state.line.count)
                guard let end = state.line.firstIndex(of: 0x0a) else { return nil }
                return Array(state.line[..<end])
            }
            if let line { end(.success(Secret(bytes: line))) }
        }

        private func end(_ result: Result<Secret?, any Error>) {
            let waiter = state.withLock { state in
                if state.result == nil { state.result = result }
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(with: result)
        }
    }
}
