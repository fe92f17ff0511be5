import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Asks whoever sits at the terminal, and waits for a line.
///
/// - Returns: the line, without its end.
/// - Throws: ``OperationError`` `promptAborted` if the settings say so, or if there is nothing to read; or what
///   ``Setting/abort(with:)`` makes of it. `CancellationError`.
public func prompt(_ message: String, _ settings: Setting...) async throws -> String {
    let settings = Settings.local.applying(settings)
    if settings[AbortOnPromptsKey.self] ?? false {
        throw settings.failure(
            OperationError(.promptAborted, "prompted with: \(message)", advice: "nobody is to be asked here"))
    }
    if let answer = settings[PromptAnswerKey.self] { return try await answer(message) }
    (settings[OutputSinkKey.self] ?? .standard).write(.output, Array("\(message)\n> ".utf8))
    guard let line = try StandardInputLine.read() else {
        throw settings.failure(
            OperationError(
                .promptAborted, "prompted with: \(message), and standard input is at its end",
                advice: "run it from a terminal, or answer by .answerPrompts { }"))
    }
    return line
}

/// A line of this program's standard input.
enum StandardInputLine {
    private static let longest = 64 * 1024

    /// Waits on the thread that calls, which operations may do. Nothing behind the line is read.
    ///
    /// - Returns: `nil` at the end of the input.
    static func read() throws -> String? {
        var bytes: [UInt8] = []
        while bytes.count < Self.longest {
            try Task.checkCancellation()
            var ready = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 200) > 0 else { continue }
            var byte: UInt8 = 0
            let count = readBytes(0, &byte, 1)
            if count < 0 && (errno == EAGAIN || errno == EINTR) { continue }
            guard count > 0 else { return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }
            if byte == 0x0a { break }
            bytes.append(byte)
        }
        if bytes.last == 0x0d { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
