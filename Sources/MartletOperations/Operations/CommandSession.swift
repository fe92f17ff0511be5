import Martlet
import MartletReactor
import Synchronization

/// A command that is spoken with while it runs: it has a terminal, or somebody watches it, or the login shell runs it.
struct CommandSession {
    private let plan: CommandPlan
    private let settings: Settings
    private let writer: LineWriter
    private let watchers: [any OutputWatcher]
    private var options: CommandOptions
    /// Our standard input and output are the command's.
    private let isInteractive: Bool
    /// A question that it asks ends it.
    private let asksNobody: Bool

    init(_ plan: CommandPlan, _ settings: Settings, _ writer: LineWriter, _ options: CommandOptions) {
        (self.plan, self.settings, self.writer, self.options) = (plan, settings, writer, options)
        isInteractive = settings[InteractiveKey.self] ?? false
        let terminal = settings[TerminalKey.self] ?? (isInteractive ? OperationTerminal() : nil)
        if let terminal {
            self.options.terminal = terminal.size ?? TerminalSize.of(descriptor: 0) ?? TerminalSize()
            self.options.terminalType = terminal.type
        }
        asksNobody = terminal != nil && settings[AbortOnPromptsKey.self] ?? false
        watchers = (settings[WatchersKey.self] ?? []) + (asksNobody ? [PromptGuard()] : [])
    }

    func run(on context: Context) async throws -> CommandResult {
        let running =
            switch plan.program {
            case .executable(let path, let arguments):
                try context.start(executable: path, arguments: arguments, options: options)
            case .login(let line): try context.startShell(line, options: options)
            }
        let changes = follow(running)
        let raw = isInteractive && !hasInput ? RawTerminal() : nil
        defer {
            changes?.close()
            raw?.close()
        }
        let silence = Silence()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await feed(running, silence) }
            do { return try await read(running, silence) } catch {
                running.cancel()
                // Why there is no more input is a better reason than that the command was cancelled for it.
                if error is CancellationError, !Task.isCancelled { try await group.waitForAll() }
                throw error
            }
        }
    }

    /// Its terminal is as large as ours, also when that changes, unless a size was asked for.
    private func follow(_ running: RunningCommand) -> WindowChanges? {
        guard options.terminal != nil, settings[TerminalKey.self]?.size == nil, TerminalSize.of(descriptor: 0) != nil
        else { return nil }
        return WindowChanges { if let size = TerminalSize.of(descriptor: 0) { running.resize(size) } }
    }

    private var hasInput: Bool { if case .none = options.input { false } else { true } }

    /// Gives it its input. Where watchers may answer and there is none, it does not end before the command does.
    private func feed(_ running: RunningCommand, _ silence: Silence) async throws {
        do {
            switch options.input {
            case .none where isInteractive:
                for try await keys in StandardInput(isOptional: true) { try await running.write(keys) }
            case .none: break
            case .bytes(let bytes): try await running.write(bytes)
            case .text(let text): try await running.write(Array(text.utf8))
            case .chunks(let chunks): for try await chunk in chunks { try await running.write(chunk) }
            }
        } catch {
            running.cancel()
            throw error
        }
        guard hasInput || settings[WatchersKey.self]?.isEmpty ?? true else { return }
        // An end that is typed ahead would answer the question, and what follows hide it.
        if asksNobody, !hasInput { try await silence.last(.seconds(1)) }
        running.finishInput()
    }

    private func read(_ running: RunningCommand, _ silence: Silence) async throws -> CommandResult {
        var watchers = watchers
        var keeper = OutputKeeper(limit: options.outputLimit, splitsLines: writer.showsOutput && !isInteractive)
        do {
            while let chunk = try await running.next() {
                silence.end()
                let (pipe, bytes): (OutputLine.Pipe, [UInt8]) =
                    switch chunk {
                    case .output(let bytes): (.output, bytes)
                    case .error(let bytes): (.error, bytes)
                    }
                if isInteractive { writer.raw(pipe, bytes) }
                for line in keeper.append(pipe, bytes) { writer.line(pipe, line) }
                for index in watchers.indices {
                    let answer = try watchers[index].receive(bytes, from: pipe)
                    if !answer.isEmpty { try await running.write(answer) }
                }
            }
        } catch {
            for (pipe, line) in keeper.finish() { writer.line(pipe, line) }
            guard var error = error as? OperationError else { throw error }
            error.detail = error.detail ?? TextLines.last(10, of: keeper.bytes(.output)).joined(separator: "\n")
            throw error
        }
        for (pipe, line) in keeper.finish() { writer.line(pipe, line) }
        var result = try await running.result()
        (result.standardOutput, result.standardError) = (keeper.bytes(.output), keeper.bytes(.error))
        result.isTruncated = keeper.isTruncated
        return result
    }
}

/// Since when a command has written nothing.
private final class Silence: Sendable {
    private let start = Mutex(ContinuousClock.now)

    func end() { start.withLock { $0 = .now } }

    /// Returns when it has lasted so long.
    func last(_ duration: Duration) async throws {
        while true {
            let end = start.withLock { $0 } + duration
            if end <= .now { return }
            try await Task.sleep(until: end)
        }
    }
}
