#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The shell of the user whom the context runs as.
enum LoginShell {
    /// As sshd starts it.
    ///
    /// - Returns: its path and its arguments, with its name as the first.
    static func program(
        _ kind: CommandShell, _ line: String, _ environment: ProcessEnvironment
    ) -> (path: String, arguments: [String]) {
        let path = path(environment)
        let name = String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
        return switch kind {
        case .line: (path, [name, "-c", line])
        case .login: (path, ["-" + name])
        }
    }

    /// Where sshd starts it: the user's home, if that is there.
    static func home(_ environment: ProcessEnvironment) -> String? {
        let fields = PasswordFile.fields(of: geteuid())
        let given = fields.flatMap { $0.count > 5 ? String($0[5]) : nil }
        var information = stat()
        return [given, environment["HOME"]].compactMap { $0 }.first { home in
            stat(home, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR && access(home, X_OK) == 0
        }
    }

    /// As `/etc/passwd` has it; for users that only another name service knows, as the login has set it.
    private static func path(_ environment: ProcessEnvironment) -> String {
        if let fields = PasswordFile.fields(of: geteuid()), fields.count > 6 {
            // None is written where it is the usual one.
            return fields[6].isEmpty ? "/bin/sh" : String(fields[6])
        }
        guard let shell = environment["SHELL"], shell.hasPrefix("/") else { return "/bin/sh" }
        return shell
    }
}
