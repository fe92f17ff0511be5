import ArgumentParser
import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The `martlet` program: a library, so that its parts can be tested.
public enum MartletCommandLine {
    /// Runs what the arguments of this process ask for, and exits.
    public static func main() -> Never {
        StandardStreams.fill()
        StandardStreams.checkAtExit()
        if let refusal = Self.refusal(of: CommandLine.unsafeArgv, CommandLine.argc) {
            fail("martlet: \(refusal)", ExitStatus.usage)
        }
        // Not `await` here: Swift's asynchronous main ends the main thread, for which a static program first sorts all its
        // unwind tables. That takes 40 ms of every command.
        Task.detached {
            await run()
            exit(ExitStatus.success)
        }
        while true { pause() }
    }

    /// Swift would change what is not UTF-8, and another file would be meant.
    private static func refusal(of words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, _ count: Int32) -> String?
    {
        for number in 1..<max(1, Int(count)) {
            guard let word = words[number], String(validatingCString: word) == nil else { continue }
            let shown = HarmlessText.of(String(cString: word))
            return """
                argument \(number) is not UTF-8: \(shown); it cannot be passed on as it is: use a pattern (caf?), the folder \
                that it is in, or 'martlet shell'
                """
        }
        return nil
    }

    private static func run() async {
        var command: any ParsableCommand
        do { command = try await MartletTool.asyncParseAsRoot() } catch {
            // What validate() finds wrong beside the words themselves, such as a file that is not there, is ours to tell.
            guard MartletTool.exitCode(for: error) == .failure else { MartletTool.exit(withError: error) }
            fail("martlet: \(MartletTool.message(for: error))", ExitStatus.usage)
        }
        do {
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch let failure as CommandFailure {
            fail("martlet: \(failure)", failure.exitStatus)
        } catch let error as ValidationError {
            fail("Error: \(error)\n\(usage(of: type(of: command)))", ExitStatus.usage)
        } catch {
            MartletTool.exit(withError: error)
        }
    }

    /// As ArgumentParser tells it, which in run() knows no more than that it is one of all.
    private static func usage(of command: any ParsableCommand.Type) -> String {
        let lines = MartletTool.usageString(for: command).split(separator: "\n").joined(separator: "\n       ")
        let name = command.configuration.commandName.map { "martlet \($0)" } ?? "martlet"
        return "Usage: \(lines)\n  See '\(name) --help' for more information."
    }

    private static func fail(_ text: String, _ status: Int32) -> Never {
        writeAll(Array("\(HarmlessText.of(text, keepsLines: true))\n".utf8), to: 2)
        exit(status)
    }
}

struct MartletTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Run commands on any machine that you can reach, with nothing installed there.",
        version: "martlet 0.1.0",
        subcommands: [
            RunCommand.self, ExecCommand.self, PythonCommand.self, ShellCommand.self,
            PutCommand.self, GetCommand.self, SyncCommand.self, WithCommand.self, ForwardCommand.self,
            PingCommand.self, FactsCommand.self, HostsCommand.self, DoctorCommand.self, CleanCommand.self,
            SpecsCommand.self, ServeCommand.self, UpCommand.self, DownCommand.self, TreeCommand.self, HubCommand.self,
            JournalCommand.self,
            DemoCommand.self,
        ]
    )
}
