import Martlet

/// What is to be run, as the settings want it: no I/O, so that tests can have it by the table.
struct CommandPlan: Hashable, Sendable {
    /// What a user asks for.
    enum Request: Hashable, Sendable {
        /// The account's own shell, for a person.
        case loginShell
        /// For a shell.
        case line(String)
        /// A program and its arguments, without any shell.
        case words([String])

        var text: String {
            switch self {
            case .loginShell: "the login shell"
            case .line(let line): line
            case .words(let words): words.map(shellQuoted).joined(separator: " ")
            }
        }
    }

    /// How it is run.
    enum Program: Hashable, Sendable {
        case executable(String, [String])
        /// The account's shell with a line, or with `nil` as after a login.
        case login(String?)
    }

    /// As it is shown, and as results have it.
    var shown: String
    var program: Program
    /// Where; a leading `~` is not resolved yet. `nil`: where the context is.
    var directory: String?

    init(_ request: Request, _ settings: Settings, isLocal: Bool) throws {
        let prefixes = settings[PrefixKey.self] ?? []
        let combines = settings[CombineKey.self] ?? false
        directory = settings.directory(isLocal: isLocal)
        switch request {
        case .loginShell: (shown, program) = (request.text, .login(nil))
        case .line(let line):
            shown = (prefixes + [line]).joined(separator: " && ")
            // All of the line hangs on the prefixes; braces are not in every shell.
            let guarded = prefixes.isEmpty ? line : Self.list(prefixes, "eval " + shellQuoted(line))
            program =
                switch settings[ShellKey.self] ?? .sh {
                case .sh: .executable("/bin/sh", ["-c", Self.script(prefixes, line, combines)])
                case .program(let path, let arguments):
                    .executable(path, arguments + [Self.script(prefixes, line, combines)])
                case .login where combines:
                    // Which shell it is nobody knows, so another one joins its outputs.
                    .executable("/bin/sh", ["-c", "exec \"${SHELL:-/bin/sh}\" -c \"$1\" 2>&1", "sh", guarded])
                case .login: .login(guarded)
                }
        case .words(let words):
            guard let name = words.first, !name.isEmpty else {
                throw OperationError(.misuse, "a command without words cannot be run")
            }
            shown = (prefixes + [request.text]).joined(separator: " && ")
            if prefixes.isEmpty && !combines {
                program = .executable(name, Array(words.dropFirst()))
            } else {
                let script = Self.list(prefixes, "exec \"$@\"" + (combines ? " 2>&1" : ""))
                program = .executable("/bin/sh", ["-c", script, "sh"] + words)
            }
        }
    }

    /// The command stands on lines of its own, so that whatever it ends with (a comment, a here-document) does not meet ours.
    private static func script(_ prefixes: [String], _ line: String, _ combines: Bool) -> String {
        let body = prefixes.isEmpty ? line : list(prefixes, "{\n\(line)\n}")
        return combines ? "exec 2>&1\n" + body : body
    }

    private static func list(_ prefixes: [String], _ last: String) -> String {
        (prefixes.map(wholeCommand) + [last]).joined(separator: " && ")
    }
}

extension Settings {
    func directory(isLocal: Bool) -> String? {
        isLocal ? self[LocalDirectoryKey.self] : self[DirectoryKey.self]
    }

    /// A path of a file there or here.
    func path(_ path: String, isLocal: Bool) -> String {
        RemotePath.isAnchored(path) ? path : RemotePath.joining(directory(isLocal: isLocal), path)
    }

    /// All that a command is told, but for its directory and its terminal.
    var commandOptions: CommandOptions {
        var options = CommandOptions()
        options.input = self[InputKey.self] ?? .none
        options.environment = self[EnvironmentKey.self] ?? [:]
        options.timeout = self[TimeoutKey.self]
        options.outputLimit = max(0, self[OutputLimitKey.self] ?? options.outputLimit)
        options.nice = self[NiceKey.self] ?? 0
        return options
    }
}
