import ArgumentParser

/// The `martlet` program: a library, so that its parts can be tested.
public enum MartletCommandLine {
    /// Runs what the arguments of this process ask for, and exits.
    public static func main() async { await MartletTool.main() }
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
