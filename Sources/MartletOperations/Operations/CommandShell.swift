/// What runs a command that is a text.
public enum CommandShell: Hashable, Sendable {
    /// `/bin/sh -c`: the same on every host.
    case sh
    /// The shell that the account has, with what it reads when sshd starts it for a command.
    case login
    /// A program with arguments, and the command behind them: `.program("/bin/bash", ["-l", "-c"])`.
    case program(String, [String])
}
