import ArgumentParser
import Martlet

/// `martlet doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Connect to a host and tell every step with its time, and what to do when one fails."
    )

    @OptionGroup var wayOptions: WayInOptions

    @Argument(help: "The host: [user@]name[:port] for ssh, or local for this machine.")
    var host: String

    func run() async throws {
        let name: HostName
        do { name = try HostName(host) } catch { throw ValidationError(error.description) }
        let command = self
        try await Session.run(colour: wayOptions.color) { session in
            try await session.interruption.cancelling {
                let examination = Examination(
                    host: name,
                    wayIn: command.wayOptions.wayIn,
                    agent: command.wayOptions.agent,
                    session: session
                )
                return try await examination.run()
            }
        }
    }
}
