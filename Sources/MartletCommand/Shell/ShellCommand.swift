import ArgumentParser
import Martlet

/// `martlet shell`.
struct ShellCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shell",
        abstract: "Open the login shell of a host, or run one line in it, with our terminal.",
        usage: "martlet shell HOST [options] [-- COMMAND...]",
        discussion: """
            Keys go to the host as they are, and what is shown follows the size of our terminal. At the beginning of a \
            line, ~. lets go of the host, ~? tells the keys, and ~~ is a ~.

            Exit status: the shell's own; 128 + the signal that ended it; 255 if the host was not reached or was lost.
            """
    )

    @OptionGroup var wayOptions: WayInOptions

    @Flag(inversion: .prefixedNo, help: "A terminal on the host. Default: if standard input is one here.")
    var tty: Bool?

    @Option(
        name: [.customShort("e"), .customLong("escape-char")],
        help: ArgumentHelp("What stands before the keys for us, or none. Default: ~", valueName: "char"))
    var escape = "~"

    @Argument(help: "The host: [user@]name[:port] for ssh, local for this machine, or a spec; see 'martlet specs'.")
    var host: String

    @Argument(parsing: .postTerminator, help: "A line for the shell; words are joined by spaces, as ssh does.")
    var command: [String] = []

    private func escapeKey() throws -> UInt8? {
        if escape == "none" { return nil }
        guard escape.utf8.count == 1, let key = escape.utf8.first else {
            throw ValidationError("--escape-char wants one character, or none")
        }
        return key
    }

    func validate() throws {
        _ = try HostOptions.name(host)
        _ = try escapeKey()
    }

    func run() async throws {
        let command = self
        let (name, wayIn, escape) = (try HostOptions.name(host), try wayOptions.wayIn(), try escapeKey())
        try await Session.run(colour: wayOptions.color) { session in
            var options = MartletOptions()
            options.images = try AgentImage.find(command.wayOptions.agent).images
            options.onOutput = session.contextOutput
            let (far, lines) = (command.options, command.command)
            do {
                return try await withMartlet(options) { controller in
                    try await session.interruption.cancelling {
                        let context = try await wayIn.connectAlone(controller, session.output, to: name)
                        let shell = try context.startShell(
                            lines.isEmpty ? nil : lines.joined(separator: " "), options: far)
                        return try await FarTerminal(shell, escape, isTerminal: far.terminal != nil, session).run()
                    }
                }
            } catch let error as MartletError {
                session.output.say("martlet: \(HarmlessText.of("\(error)", keepsLines: true))", to: .error)
                return ExitStatus.noShell
            }
        }
    }

    private var options: CommandOptions {
        var options = CommandOptions()
        if tty ?? SystemCalls.isTerminal(0) {
            options.terminal = TerminalSize.of(descriptor: 0) ?? TerminalSize()
            options.terminalType = SystemCalls.variable("TERM") ?? "xterm"
        }
        return options
    }
}
