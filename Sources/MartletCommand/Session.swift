import ArgumentParser
import Martlet
import MartletReactor

/// What every command works with: where it prints, and what may end it early.
struct Session: Sendable {
    let output: Output
    let interruption: Interruption

    /// Runs a command's body on Martlet's executor, prints what is queued, and exits with what the body returns.
    ///
    /// - Parameter ownsOutput: standard output is ours: it is over when nobody reads that any more.
    /// - Throws: `ExitCode`, unless the body returns 0.
    static func run(
        colour: ColourChoice,
        ownsOutput: Bool = true,
        _ body: @escaping @Sendable (Session) async throws -> Int32
    ) async throws {
        let interruption = Interruption()
        let output = Output(colour: colour, interruption: interruption)
        let session = Session(output: output, interruption: interruption)
        Signals.forward(to: interruption, reactor: .shared)
        let watch = ownsOutput ? OutputWatch(reactor: .shared) { output.readerIsGone() } : nil
        watch?.start()
        let status = await withTaskExecutorPreference(Reactor.shared) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await output.runWriter() }
                let status = await session.status(of: body)
                output.finish()
                await group.waitForAll()
                return session.statusOfOutput ?? status
            }
        }
        watch?.stop()
        if status != 0 { throw ExitCode(status) }
    }

    private func status(of body: @Sendable (Session) async throws -> Int32) async -> Int32 {
        do {
            let status = try await body(self)
            return interruption.exitStatus ?? status
        } catch is CancellationError {
            return interruption.exitStatus ?? ExitStatus.failed
        } catch {
            if let status = interruption.exitStatus { return status }
            output.say("martlet: \(HarmlessText.of("\(error)", keepsLines: true))", to: .error)
            return (error as? CommandFailure)?.exitStatus ?? ExitStatus.failed
        }
    }

    /// What it means that not all that was said could be written, which is known at the end; `nil`: it was.
    private var statusOfOutput: Int32? {
        guard case .outputFailed(let error)? = interruption.cause else { return nil }
        StandardStreams.tellFailure(error)
        return interruption.exitStatus
    }

    /// Prints what contexts say beside their work, as ssh does when it has something to tell.
    var contextOutput: @Sendable (ContextOutput) -> Void {
        { [output] line in
            output.say("[\(line.route.steps.joined(separator: " "))] \(HarmlessText.of(line.bytes))", to: .error)
        }
    }
}
