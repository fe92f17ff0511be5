import ArgumentParser

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
            StandardStreams.tell(refusal)
            exit(ExitStatus.usage)
        }
        // Not `await` here: Swift's asynchronous main ends the main thread, for which a static program first sorts all its
        // unwind tables. That takes 40 ms of every command.
        Task.detached {
            await MartletTool.main()
            exit(ExitStatus.success)
        }
        while true { pause() }
    }

    /// Swift would change what is not UTF-8, and another file would be meant.
    private static func refusal(of words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, _ count: Int32) -> String?
    {
        for number in 1..<max(1, Int(count)) {
            guard let word = words[number], String(validatingCString: word) == nil else { continue }
            let shown = HarmlessText.of(Array(UnsafeRawBufferPointer(start: word, count: strlen(word))))
            return """
                argument \(number) is not UTF-8: \(shown); it cannot be passed on as it is: use a pattern (caf?), the folder \
                that it is in, or 'martlet shell'
                """
        }
        return nil
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
