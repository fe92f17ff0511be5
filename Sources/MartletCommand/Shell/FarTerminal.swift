import Martlet
import MartletReactor

/// Joins our standard input, output and error, and our terminal, with a command on a far machine.
struct FarTerminal: Sendable {
    private static let help = """
        ~.  let go of the host, whatever runs there
        ~~  send a ~
        ~?  this

        """

    private let command: RunningCommand
    private let escape: UInt8?
    /// There is a terminal over there.
    private let isTerminal: Bool
    private let session: Session

    init(_ command: RunningCommand, _ escape: UInt8?, isTerminal: Bool, _ session: Session) {
        (self.command, self.escape, self.isTerminal, self.session) = (command, escape, isTerminal, session)
    }

    /// - Returns: the exit status.
    func run() async throws -> Int32 {
        let raw = isTerminal ? RawTerminal() : nil
        let changes = raw.map { _ in
            WindowChanges { [command] in
                if let size = TerminalSize.of(descriptor: 0) { command.resize(size) }
            }
        }
        defer {
            changes?.close()
            raw?.close()
        }
        return try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask { try await readKeys(isRaw: raw != nil) }
            group.addTask { try await show() }
            defer { group.cancelAll() }
            while let status = try await group.next() {
                if let status { return status }
            }
            throw CancellationError()
        }
    }

    /// - Returns: `nil` at the end of the input; else a status to exit with at once.
    private func readKeys(isRaw: Bool) async throws -> Int32? {
        var keys = EscapeKeys(escape: isRaw ? escape : nil)
        for try await typed in StandardInput(isOptional: true) {
            for key in keys.take(typed) {
                switch key {
                case .bytes(let bytes): try await command.write(bytes)
                case .help: write(Self.help.replacing("\n", with: "\r\n"), to: 2)
                case .disconnect:
                    write("\r\nmartlet: let go of \(command.route.steps.joined(separator: " ")).\r\n", to: 2)
                    return ExitStatus.noShell
                }
            }
        }
        command.finishInput()
        return nil
    }

    private func show() async throws -> Int32 {
        while let chunk = try await command.next() {
            let error =
                switch chunk {
                case .output(let bytes): writeAll(bytes, to: 1)
                case .error(let bytes): writeAll(bytes, to: 2)
                }
            guard error == 0 else {
                session.interruption.fire(error == OutputWatch.closedError ? .outputClosed : .outputFailed(error))
                throw CancellationError()
            }
        }
        switch try await command.result().termination {
        case .exited(let code): return code
        case .signalled(let number): return 128 + number
        case .timedOut: return ExitStatus.failed
        }
    }

    private func write(_ text: String, to descriptor: Int32) {
        writeAll(Array(text.utf8), to: descriptor)
    }
}
