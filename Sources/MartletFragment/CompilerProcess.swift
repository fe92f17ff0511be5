import Martlet
import MartletReactor
import Synchronization

/// One run of the compiler: what it printed on both pipes, and how it ended.
enum CompilerProcess {
    /// How much of what is printed is kept, in bytes.
    private static let outputLimit = 1024 * 1024
    /// What it leaves running may hold its pipe: so long that is still read, in nanoseconds.
    private static let drainLimit: UInt64 = 1_000_000_000

    private struct State {
        var output: [UInt8] = []
        var status: ExitStatus?
        var outputEnded = false
        var isLate = false
        var continuation: UnsafeContinuation<Void, Never>?
    }

    private final class Run: Sendable {
        private let state = Mutex(State())
        private let process = Mutex<ChildProcess?>(nil)

        /// - Throws: ``SystemError`` if it cannot be started.
        func start(_ path: String, _ arguments: [String], directory: String?) throws(SystemError) -> ByteSource {
            let (output, nothing) = try (Pipe(), Pipe())
            defer { for end in [output.writeEnd, nothing.readEnd, nothing.writeEnd] { closeDescriptor(end) } }
            let source = ByteSource(output.readEnd, reactor: .shared) { [self] bytes in
                state.withLock { state in
                    state.output += bytes.prefix(max(0, outputLimit - state.output.count))
                }
                return true
            } onEnd: { [self] in
                settle { $0.outputEnded = true }
            }
            do {
                let child = try ChildProcess.spawn(
                    SpawnRequest(
                        path: path, arguments: [path] + arguments, environment: ProcessEnvironment.current.strings,
                        directory: directory, descriptors: (nothing.readEnd, output.writeEnd, output.writeEnd)),
                    reactor: .shared
                ) { [self] status in
                    settle { $0.status = status }
                    Reactor.shared.schedule(at: Reactor.now + drainLimit) { [self] in settle { $0.outputEnded = true } }
                }
                process.withLock { $0 = child }
            } catch {
                source.close()
                throw error
            }
            source.resume()
            return source
        }

        /// Waits until it has ended and what it printed was read.
        func end() async -> (ExitStatus?, [UInt8], isLate: Bool) {
            await withUnsafeContinuation { continuation in settle { $0.continuation = continuation } }
            return state.withLock { ($0.status, $0.output, $0.isLate) }
        }

        func stop(isLate: Bool) {
            if isLate { state.withLock { $0.isLate = true } }
            process.withLock { $0 }?.end(grace: 500_000_000)
        }

        private func settle(_ change: (inout State) -> Void) {
            let continuation = state.withLock { state -> UnsafeContinuation<Void, Never>? in
                change(&state)
                guard state.status != nil, state.outputEnded else { return nil }
                defer { state.continuation = nil }
                return state.continuation
            }
            continuation?.resume()
        }
    }

    /// - Parameter deadline: after this its process group is ended.
    /// - Throws: ``MartletError`` `noCompiler` if it cannot be started, `deadlineExceeded`; `CancellationError`.
    static func run(
        _ path: String, _ arguments: [String], directory: String? = nil, deadline: Duration
    ) async throws -> (succeeded: Bool, output: String) {
        try Task.checkCancellation()
        let run = Run()
        let source: ByteSource
        do { source = try run.start(path, arguments, directory: directory) } catch {
            throw MartletError(.noCompiler, "the Swift compiler cannot be started: \(error)")
        }
        let limit = Reactor.now + deadline.clampedNanoseconds
        let timer = Reactor.shared.schedule(at: limit) { run.stop(isLate: true) }
        let (status, output, isLate) = await withTaskCancellationHandler {
            await run.end()
        } onCancel: {
            run.stop(isLate: false)
        }
        Reactor.shared.cancel(timer)
        source.close()
        try Task.checkCancellation()
        let text = String(decoding: output, as: UTF8.self)
        if isLate {
            throw MartletError(
                .deadlineExceeded, "\(path) took longer than \(deadline)", detail: text,
                advice: "raise SwiftCompiler.deadline")
        }
        return (status == .exited(0), text)
    }
}
