import ArgumentParser

/// `martlet demo`.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "See what it does, on this machine alone: local contexts, and ssh to a throw-away sshd.",
        discussion: "Needs no network and no configuration, and leaves nothing behind."
    )

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func run() async throws {
        try await Session.run(colour: color) { session in
            try await session.interruption.cancelling { try await Demo(session: session).run() }
        }
    }
}
