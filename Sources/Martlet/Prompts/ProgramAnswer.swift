import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs an askpass program on this machine.
final class ProgramAnswer: Sendable {
    private static let longest = 4096

    private struct State {
        var bytes: [UInt8] = []
        var status: ExitStatus?
        var isEnded = false
        var process: ChildProcess?
        var source: ByteSource?
    }

    private let state = Mutex(State())
    private let gate = CreditGate()

    /// - Returns: the first line that it prints; `nil` if it fails, as askpass programs do when the person cancels.
    static func of(_ program: String, _ arguments: [String]) async throws -> Secret? {
        let answer = ProgramAnswer()
        return try await withTaskCancellationHandler {
            try answer.start(program, arguments)
            while let generation = answer.generationUnlessOver { await answer.gate.wait(since: generation) }
            return answer.take()
        } onCancel: {
            answer.stop()
        }
    }

    private func start(_ program: String, _ arguments: [String]) throws {
        let environment = ProcessEnvironment.current
        let path = try ProgramSearch.find(program, path: environment["PATH"])
        let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
        let pipe = try Pipe()
        defer {
            closeDescriptor(nothing)
            closeDescriptor(pipe.writeEnd)
        }
        let source = ByteSource(pipe.readEnd, reactor: .shared, maximumRead: Self.longest) { [self] bytes in
            state.withLock { $0.bytes.append(contentsOf: bytes.prefix(Self.longest - $0.bytes.count)) }
            return true
        } onEnd: { [self] in
            change { $0.isEnded = true }
        }
        do {
            let process = try ChildProcess.spawn(
                SpawnRequest(
                    path: path, arguments: [program] + arguments, environment: environment.strings,
                    descriptors: (nothing, pipe.writeEnd, 2)),
                reactor: .shared
            ) { [self] status in
                change { $0.status = status }
            }
            state.withLock { ($0.process, $0.source) = (process, source) }
            source.resume()
        } catch {
            source.close()
            throw error
        }
        if Task.isCancelled { stop() }
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
        gate.open()
    }

    private var generationUnlessOver: UInt64? {
        let generation = gate.generation
        return state.withLock { $0.status != nil && $0.isEnded } ? nil : generation
    }

    private func take() -> Secret? {
        state.withLock { state in
            defer { state.bytes.withUnsafeMutableBytes { martlet_forget($0.baseAddress, $0.count) } }
            guard state.status == .exited(0) else { return nil }
            return Secret(bytes: state.bytes.prefix { $0 != 0x0a && $0 != 0x0d })
        }
    }

    private func stop() {
        let (process, source) = state.withLock { state in
            state.isEnded = true
            if state.process == nil { state.status = .exited(255) }
            return (state.process, state.source)
        }
        source?.close()
        process?.end(grace: 500_000_000)
        gate.open()
    }
}
