import ArgumentParser
import Martlet

/// `martlet doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Connect to a host and tell every step with its time, and what to do when one fails.",
        discussion: "Exit status: 0 if all is well; 1 if this machine lacks something; 3 if the host was not reached."
    )

    @OptionGroup var wayOptions: WayInOptions

    @Argument(help: "The host: [user@]name[:port] for ssh, local for this machine, or a spec; see 'martlet specs'.")
    var host: String

    func validate() throws { _ = try HostOptions.name(host) }

    func run() async throws {
        let name = try HostOptions.name(host)
        var way = try wayOptions.wayIn()
        // Of several gateways the first is looked at.
        way.via = way.via ?? name.firstGateway
        let (wayIn, command) = (way, self)
        try await Session.run(colour: wayOptions.color) { session in
            try await session.interruption.cancelling {
                let examination = Examination(
                    host: name,
                    wayIn: wayIn,
                    agent: command.wayOptions.agent,
                    session: session
                )
                return try await examination.run()
            }
        }
    }
}
