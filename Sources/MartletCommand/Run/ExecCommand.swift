import ArgumentParser
import Martlet
import MartletFragment
import MartletReactor

/// `martlet exec`.
struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Compile a Swift script here and run it on many hosts at once.",
        usage: """
            martlet exec SCRIPT -H HOST[,HOST...] [options] [-- ARGUMENT...]
            martlet exec -e SOURCE -H HOST[,HOST...] [options] [-- ARGUMENT...]
            """,
        discussion: """
            The script is plain top-level Swift, compiled by this machine's swiftc (or what SWIFTC names) into a static \
            program; the hosts need no Swift. What it prints comes live, each line with its host in front; what it sends \
            by 'try channel.send(value)' comes as lines of JSON. What was compiled is kept for the next time.

            Exit status: 0 if all succeeded; 1 if a script failed; 3 if a host was not reached or was lost; 4 if it was \
            stopped before all hosts had their turn, or a check failed; 64 for wrong usage, or a script that does not compile; 130 after Ctrl-C (128 + the signal).
            """
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var runOptions: RunOptions

    @Option(
        name: .customShort("e"), help: ArgumentHelp("The source itself, in place of a script.", valueName: "source"))
    var source: String?

    @Option(
        name: .customLong("swiftc-option"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Pass an option on to the compiler; may be repeated.", valueName: "option"))
    var compilerOptions: [String] = []

    @Argument(help: "The script's file; - is standard input.")
    var script: String?

    @Argument(parsing: .postTerminator, help: "What the script finds in CommandLine.arguments.")
    var arguments: [String] = []

    func validate() throws {
        try OptionValue.notBlank(["-e": source])
        if (script == nil) == (source == nil) { throw ValidationError("name one script, or its source with -e") }
        if script == "-", hostOptions.hostsFile == "-" {
            throw ValidationError("standard input cannot be both the list of hosts and the script")
        }
    }

    func run() async throws {
        let chosen = try hostOptions.choose()
        let command = self
        try await Session.run(colour: wayOptions.color) { session in
            try await command.run(on: chosen, session)
        }
    }

    private func run(on chosen: HostChoice, _ session: Session) async throws -> Int32 {
        let fragment: CompiledFragment
        do { fragment = try await session.interruption.cancelling { try await compile() } } catch let error
            as FragmentCompileError
        {
            session.output.say(error.output, to: .error)
            return ExitStatus.usage
        }
        if !fragment.warnings.isEmpty { session.output.say(fragment.warnings, to: .error) }
        let (options, arguments) = (runOptions.command, arguments)
        return try await runOptions.commandRun(
            on: chosen.hosts, hostOptions, try wayOptions.wayIn(), agent: wayOptions.agent, chosen.invocation()
        ).run(session) { context, host, reporter in
            try fragment.check(context)
            return try await Self.run(fragment, arguments, options, context, host, reporter)
        }
    }

    private func compile() async throws -> CompiledFragment {
        var compiler = SwiftCompiler()
        compiler.arguments = compilerOptions
        if let source { return try await compiler.compile(source, file: "source.swift") }
        let path = script ?? ""
        let text = String(decoding: try SystemCalls.readFile(path), as: UTF8.self)
        return try await compiler.compile(text, file: path == "-" ? "stdin.swift" : path)
    }

    private static func run(
        _ fragment: CompiledFragment, _ arguments: [String], _ options: CommandOptions, _ context: Context,
        _ host: Host,
        _ reporter: any RunReporter
    ) async throws -> CommandResult {
        let (near, far) = context.makeChannel(sending: Never.self, receiving: Never.self)
        // Nothing is sent to it.
        near.finish()
        async let printed: Void = {
            while let item = try await near.receiveEncoded() {
                await reporter.item(try JSONText.of(cbor: item), from: host)
            }
        }()
        let result: ImageResult
        do {
            result = try await context.run(
                image: fragment.image, name: fragment.file, arguments: arguments, options: options, channel: far,
                onLine: { await reporter.line($0, from: host) })
        } catch {
            far.close()
            throw error
        }
        far.close()
        try await printed
        if let error = FragmentError(result, fragment.file, context.route), error.type != nil {
            throw MartletError(.taskFailed, error.message, route: context.route, remoteType: error.type)
        }
        return CommandResult(
            command: fragment.file, termination: result.termination, duration: result.duration, route: context.route)
    }
}
