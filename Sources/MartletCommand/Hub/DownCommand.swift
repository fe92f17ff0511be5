import ArgumentParser
import Martlet
import MartletFleet

/// `martlet down`.
struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "End the hub and everything that it keeps: see 'martlet up'.",
        discussion: """
            A hub that takes no orders, as it does not answer, has lost its socket or is of another build, gets SIGTERM.

            Exit status: 0, also if there is no hub; 1 if it does not end.
            """)

    func run() async throws {
        try await Session.run(colour: .auto) { session in
            try await withMartlet { controller in
                session.output.say(try await session.interruption.cancelling { try await Self.end(controller) })
                return ExitStatus.success
            }
        }
    }

    /// - Returns: what has come of it.
    private static func end(_ controller: Controller) async throws -> String {
        let places = try HubFinder.wanted()
        var failure: MartletError?
        do {
            if let hub = try await controller.connectHub(places) { return try await end(hub) }
        } catch let error as MartletError {
            try Task.checkCancellation()
            failure = error
        }
        // By its lock it is the hub at this moment, and no other process that has its number by now.
        guard let process = places.lazy.compactMap(\.holder).first else {
            if let failure { throw failure }
            return "there is no hub"
        }
        let error = SystemCalls.terminate(process)
        guard error == 0 else {
            throw CommandFailure(
                "cannot end the hub, process \(process): \(SystemCalls.errorText(error))", exitStatus: ExitStatus.failed
            )
        }
        try await awaitEnd(of: process)
        let reason = failure?.message ?? "the hub (process \(process)) has lost its socket"
        return "\(reason): ended by SIGTERM"
    }

    private static func end(_ hub: Context) async throws -> String {
        let status = try await hub.call(HubStatusTask())
        let count = try await hub.call(HubEnd())
        await hub.close(within: .seconds(1))
        try await awaitEnd(of: status.processID)
        return "the hub has ended, and with it \(Format.count(count, "context"))"
    }

    /// Until its process is gone, nothing is.
    private static func awaitEnd(of process: Int32) async throws {
        guard let start = SystemCalls.processStart(process) else { return }
        let deadline = ContinuousClock.now + .seconds(15)
        while SystemCalls.processStart(process) == start {
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    "the hub, process \(process), does not end\n  try: kill -KILL \(process)",
                    exitStatus: ExitStatus.failed)
            }
            await Pause.wait(.milliseconds(10))
            try Task.checkCancellation()
        }
    }
}
