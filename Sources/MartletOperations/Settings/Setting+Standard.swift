public import Martlet

// MARK: - Where

extension Setting {
    /// The host of the operations: a spec such as `web1`, `ssh:root@web1:2222`, `ssh:bastion/ssh:db1`, `local`.
    public static func host(_ spec: String) -> Setting { host(OperationHost(spec)) }

    /// The host of the operations.
    public static func host(_ host: OperationHost) -> Setting { .set(HostKey.self, to: host) }

    /// A context that is open already. It is used, and not closed.
    public static func host(_ context: Context) -> Setting { host(OperationHost(context)) }

    /// A host that is none, for tests.
    public static func mock(_ mock: MockHost) -> Setting { host(.mock(mock)) }

    /// Local operations go to a host that is none, for tests.
    public static func mockLocal(_ mock: MockHost) -> Setting { .set(LocalMockKey.self, to: .mock(mock)) }

    /// The hosts of ``execute(_:on:_:)``.
    public static func hosts(_ hosts: [OperationHost]) -> Setting { .set(HostsKey.self, to: hosts) }

    /// The account on hosts that are reached by ssh and name none. Default: what ssh's configuration says.
    public static func user(_ name: String) -> Setting { .set(UserKey.self, to: name) }

    /// The port of hosts that are reached by ssh and name none. Default: what ssh's configuration says.
    public static func port(_ port: UInt16) -> Setting { .set(PortKey.self, to: port) }

    /// The private key for hosts that are reached by ssh and name none. Default: what ssh's configuration says.
    public static func identity(_ path: String) -> Setting { .set(IdentityKey.self, to: path) }

    /// ssh's configuration file for hosts that name none. Default: the user's own.
    public static func sshConfiguration(_ path: String) -> Setting { .set(SSHConfigurationKey.self, to: path) }

    /// For a connect, from the first byte to the last. Default: 30 s.
    public static func connectTimeout(_ limit: Duration) -> Setting { .set(ConnectTimeoutKey.self, to: limit) }

    /// Operations are done as another user, by sudo: commands, files, all. Local commands too.
    ///
    /// - Parameters:
    ///   - user: default: root.
    ///   - group: default: the user's own.
    public static func sudo(user: String? = nil, group: String? = nil) -> Setting {
        .set(SudoKey.self, to: SudoAccount(user: user, group: group))
    }

    /// Operations are done as the host's own user again.
    public static var withoutSudo: Setting { .set(SudoKey.self, to: nil) }

    /// What answers sudo's question for a password. Default: who answers for the scope (`MartletOptions.prompts`), else nobody.
    public static func sudoPassword(_ password: Secret) -> Setting { .set(SudoPasswordKey.self, to: password) }
}

// MARK: - How

extension Setting {
    /// Where operations work on the host: ``cd(_:isolation:_:)`` as a setting. What is relative begins at the directory that is
    /// set already; `/…`, `~/…` and `~joe/…` begin anew.
    public static func directory(_ path: String) -> Setting {
        Setting { $0[DirectoryKey.self] = RemotePath.joining($0[DirectoryKey.self], path) }
    }

    /// Where local operations work: ``lcd(_:isolation:_:)`` as a setting.
    public static func localDirectory(_ path: String) -> Setting {
        Setting { $0[LocalDirectoryKey.self] = RemotePath.joining($0[LocalDirectoryKey.self], path) }
    }

    /// Variables for commands, there and here, besides those that are set already; `nil` removes one. Values are passed
    /// exactly, whatever is in them.
    public static func environment(_ variables: [String: String?]) -> Setting {
        Setting { $0[EnvironmentKey.self] = ($0[EnvironmentKey.self] ?? [:]).merging(variables) { $1 } }
    }

    /// A command that has to succeed before each command, in its shell: `source venv/bin/activate`. Those that are set already
    /// come before it.
    public static func prefix(_ command: String) -> Setting {
        Setting { $0[PrefixKey.self] = ($0[PrefixKey.self] ?? []) + [command] }
    }

    /// What runs commands that are a text. Default: `/bin/sh -c`.
    public static func shell(_ shell: CommandShell) -> Setting { .set(ShellKey.self, to: shell) }

    /// How long a command may take. Then it is ended with all that it started, and what it wrote is kept. Default: no limit;
    /// 30 s for what operations ask a host themselves: whose home `~joe` is, and whether a file is there. Copies of files are no
    /// commands, and take as long as they take.
    public static func timeout(_ limit: Duration?) -> Setting { .set(TimeoutKey.self, to: limit) }

    /// What commands get on their standard input. Default: nothing, at once its end.
    public static func input(_ input: CommandInput) -> Setting { .set(InputKey.self, to: input) }

    /// Commands get a terminal, which both their outputs and their input are; see ``OperationTerminal``.
    public static var pty: Setting { pty(OperationTerminal()) }

    /// Commands get a terminal like this, or with `nil` none.
    public static func pty(_ terminal: OperationTerminal?) -> Setting { .set(TerminalKey.self, to: terminal) }

    /// Commands are joined to this program's terminal: they have one of its size, get what is typed, and what they write is
    /// shown as it comes, without a template. An editor works so. Default: `false`.
    public static func interactive(_ isInteractive: Bool = true) -> Setting {
        .set(InteractiveKey.self, to: isInteractive)
    }

    /// Reads what commands write, and answers, besides those that do already: ``Responder``, ``FailingResponder``.
    /// Standard input is then open until the command ends, unless ``input(_:)`` says what it is: behind that it is at
    /// its end.
    public static func watch(_ watchers: any OutputWatcher...) -> Setting {
        Setting { $0[WatchersKey.self] = ($0[WatchersKey.self] ?? []) + watchers }
    }

    /// Added to the nice level of commands. Default: 0.
    public static func nice(_ level: Int) -> Setting { .set(NiceKey.self, to: level) }

    /// How much of each output a result keeps, in bytes; all of it is shown. Default: 16 MiB.
    public static func outputLimit(_ bytes: Int) -> Setting { .set(OutputLimitKey.self, to: bytes) }

    /// Results keep no output; it is shown all the same.
    public static var discardOutput: Setting { outputLimit(0) }

    /// Standard error goes where standard output goes, so that the order between both is kept. Default: `false`.
    public static func combineErrors(_ combines: Bool = true) -> Setting { .set(CombineKey.self, to: combines) }

    /// Commands are shown and not run; each result is a success without output. Nothing is transferred. Default: `false`.
    public static func dryRun(_ isDry: Bool = true) -> Setting { .set(DryRunKey.self, to: isDry) }
}

// MARK: - Failing

extension Setting {
    /// A command that fails is a result, not an error, and a warning is shown. What cannot even be tried is still an error.
    public static var warnOnly: Setting { warnOnly(true) }

    /// Whether a command that fails is a result, not an error. Default: `false`.
    public static func warnOnly(_ warns: Bool) -> Setting { .set(WarnOnlyKey.self, to: warns) }

    /// What is thrown in place of an ``OperationError``; its ``OperationError/result`` tells what a command did.
    public static func abort(with makeError: @escaping @Sendable (OperationError) -> any Error) -> Setting {
        .set(AbortKey.self, to: makeError)
    }

    /// ``prompt(_:_:)`` throws instead of asking, and a command on a terminal reads its end at once. ``execute(_:on:_:)``
    /// sets it for what runs in parallel. Default: `false`.
    public static func abortOnPrompts(_ aborts: Bool = true) -> Setting { .set(AbortOnPromptsKey.self, to: aborts) }

    /// Answers ``prompt(_:_:)`` in place of a person.
    public static func answerPrompts(_ answer: @escaping @Sendable (String) async throws -> String) -> Setting {
        .set(PromptAnswerKey.self, to: answer)
    }
}

// MARK: - Showing

extension Setting {
    /// Nothing is shown.
    public static var quiet: Setting { hide(.all) }

    /// Does not show these, besides what is hidden already.
    public static func hide(_ parts: OutputParts) -> Setting {
        Setting { $0[HiddenKey.self] = ($0[HiddenKey.self] ?? []).union(parts) }
    }

    /// Shows these, though they were hidden.
    public static func show(_ parts: OutputParts) -> Setting {
        Setting { $0[HiddenKey.self] = ($0[HiddenKey.self] ?? []).subtracting(parts) }
    }

    /// How a line is shown: see ``LineTemplate``. Default: `[{host}] {pipe}: {line}` and a line's end.
    ///
    /// - Throws: ``OperationError`` `misuse` at once for a field that there is not.
    public static func lineTemplate(_ text: String) throws -> Setting {
        .set(LineTemplateKey.self, to: try LineTemplate(text))
    }

    /// Whether what stands before `{line}` is shown. Default: `true`.
    public static func displayPrefix(_ shows: Bool) -> Setting { .set(DisplayPrefixKey.self, to: shows) }

    /// What `{pipe}` is, in place of `out`, `err` and `run`.
    public static func pipeName(_ name: String?) -> Setting { .set(PipeNameKey.self, to: name) }

    /// Where lines are shown. Default: this program's standard output and error.
    public static func output(to sink: OutputSink) -> Setting { .set(OutputSinkKey.self, to: sink) }
}

// MARK: - Keys

enum HostKey: SettingKey { typealias Value = OperationHost }
enum HostsKey: SettingKey { typealias Value = [OperationHost] }
enum UserKey: SettingKey { typealias Value = String }
enum PortKey: SettingKey { typealias Value = UInt16 }
enum IdentityKey: SettingKey { typealias Value = String }
enum SSHConfigurationKey: SettingKey { typealias Value = String }
enum ConnectTimeoutKey: SettingKey { typealias Value = Duration }
enum SudoKey: SettingKey { typealias Value = SudoAccount }
enum SudoPasswordKey: SettingKey { typealias Value = Secret }
enum DirectoryKey: SettingKey { typealias Value = String }
enum LocalDirectoryKey: SettingKey { typealias Value = String }
enum EnvironmentKey: SettingKey { typealias Value = [String: String?] }
enum PrefixKey: SettingKey { typealias Value = [String] }
enum ShellKey: SettingKey { typealias Value = CommandShell }
enum TimeoutKey: SettingKey { typealias Value = Duration }
enum InputKey: SettingKey { typealias Value = CommandInput }
enum TerminalKey: SettingKey { typealias Value = OperationTerminal }
enum InteractiveKey: SettingKey { typealias Value = Bool }
enum WatchersKey: SettingKey { typealias Value = [any OutputWatcher] }
enum NiceKey: SettingKey { typealias Value = Int }
enum OutputLimitKey: SettingKey { typealias Value = Int }
enum CombineKey: SettingKey { typealias Value = Bool }
enum DryRunKey: SettingKey { typealias Value = Bool }
enum WarnOnlyKey: SettingKey { typealias Value = Bool }
enum AbortKey: SettingKey { typealias Value = @Sendable (OperationError) -> any Error }
enum AbortOnPromptsKey: SettingKey { typealias Value = Bool }
enum PromptAnswerKey: SettingKey { typealias Value = @Sendable (String) async throws -> String }
enum HiddenKey: SettingKey { typealias Value = OutputParts }
enum LineTemplateKey: SettingKey { typealias Value = LineTemplate }
enum DisplayPrefixKey: SettingKey { typealias Value = Bool }
enum PipeNameKey: SettingKey { typealias Value = String }
enum OutputSinkKey: SettingKey { typealias Value = OutputSink }
