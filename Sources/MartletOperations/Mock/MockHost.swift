import Martlet
import Synchronization

/// A host that is none: it answers as it was told, and remembers what it was asked, so that a program's operations can be
/// tested where there is no host. Settings, templates and errors are the same as with a real one.
///
///     let web = MockHost("web1") {
///         $0.on("systemctl is-active nginx", "inactive\n", .output("active\n"), repeats: false)
///         $0.on(prefix: "systemctl restart ", .exit(0))
///     }
///     try await withSettings(.mock(web)) { try await deploy() }
///     #expect(web.commands == ["systemctl is-active nginx", "systemctl restart nginx", "systemctl is-active nginx"])
///
/// A command that it has no answer to is an error, so that nothing goes unnoticed.
public final class MockHost: Sendable {
    /// A command that it was asked to run.
    public struct Call: Sendable, Hashable {
        /// As it would have been run, with its prefixes.
        public var command: String
        /// Where; `nil`: where the context is.
        public var directory: String?
        /// The variables that were set, or with `nil` removed.
        public var environment: [String: String?]
        /// As whom, by sudo; `nil`: as the host's own user.
        public var sudoUser: String?
        /// As which group, by sudo.
        public var sudoGroup: String?
        /// What it was given to read, unless that came in chunks.
        public var input: [UInt8]
    }

    private struct Rule {
        var matches: @Sendable (String) -> Bool
        var name: String
        var answers: [MockAnswer]
        var repeats: Bool
        var next = 0
    }

    private struct State {
        var rules: [Rule] = []
        var calls: [Call] = []
        var files: [String: [UInt8]] = [:]
    }

    /// What templates, results and errors call it.
    public let name: String
    private let state = Mutex(State())

    /// - Parameters:
    ///   - name: default: `mock`.
    ///   - configure: says what it answers.
    public init(_ name: String = "mock", _ configure: (MockHost) throws -> Void) rethrows {
        self.name = name
        try configure(self)
    }

    /// One that has no answer to anything yet.
    public init(_ name: String = "mock") { self.name = name }

    // MARK: Answers

    /// Answers a command. What was said first counts, of several that fit.
    ///
    /// - Parameters:
    ///   - answers: one after the other, at each call the next; none: it succeeds.
    ///   - repeats: after the last one, the first comes again; else the command is unexpected then.
    public func on(_ command: String, _ answers: MockAnswer..., repeats: Bool = true) {
        add("“\(command)”", answers, repeats) { $0 == command }
    }

    /// Answers all commands that begin like this.
    public func on(prefix: String, _ answers: MockAnswer..., repeats: Bool = true) {
        add("“\(prefix)”…", answers, repeats) { $0.hasPrefix(prefix) }
    }

    /// Answers all commands in which the pattern is found.
    public func on(matching pattern: TextPattern, _ answers: MockAnswer..., repeats: Bool = true) {
        add("\(pattern)", answers, repeats) { command in
            (try? Search(pattern))?.isFound(in: Array(command.utf8)) ?? false
        }
    }

    /// Answers all that nothing before answers.
    public func onAnything(_ answers: MockAnswer..., repeats: Bool = true) {
        add("anything", answers, repeats) { _ in true }
    }

    private func add(
        _ name: String, _ answers: [MockAnswer], _ repeats: Bool, _ matches: @escaping @Sendable (String) -> Bool
    ) {
        let answers = answers.isEmpty ? [.exit(0)] : answers
        state.withLock {
            $0.rules.append(Rule(matches: matches, name: name, answers: answers, repeats: repeats))
        }
    }

    // MARK: What has happened

    /// The commands that it was asked to run, in order.
    public var calls: [Call] { state.withLock { $0.calls } }
    /// Their texts.
    public var commands: [String] { calls.map(\.command) }

    /// Its files by their paths: uploads are put there, downloads come from there.
    public var files: [String: [UInt8]] {
        get { state.withLock { $0.files } }
        set { state.withLock { $0.files = newValue } }
    }

    /// - Returns: the path.
    func write(_ bytes: [UInt8], to path: String, _ options: TransferOptions) throws -> String {
        try state.withLock { state in
            if options.overwrite == .never, state.files[path] != nil {
                throw MartletError(.fileExists, "\(path) is there already")
            }
            state.files[path] = bytes
        }
        return path
    }

    func read(_ path: String) throws -> [UInt8] {
        guard let bytes = files[path] else { throw MartletError(.fileFailed, "\(path): No such file or directory") }
        return bytes
    }

    // MARK: Running

    func run(_ plan: CommandPlan, _ settings: Settings, host: String) throws -> OperationResult {
        let sudo = settings[SudoKey.self]
        let input: [UInt8] =
            switch settings[InputKey.self] ?? .none {
            case .bytes(let bytes): bytes
            case .text(let text): Array(text.utf8)
            case .none, .chunks: []
            }
        let call = Call(
            command: plan.shown, directory: plan.directory, environment: settings[EnvironmentKey.self] ?? [:],
            sudoUser: sudo.map { $0.user ?? "root" }, sudoGroup: sudo?.group, input: input)
        switch try answer(call) {
        case .failure(let error): throw error
        case .result(let termination, let output, let errors):
            let combines = settings[CombineKey.self] ?? false || settings[TerminalKey.self] != nil
            return OperationResult(
                command: plan.shown, host: host, termination: termination,
                standardOutput: combines ? output + errors : output, standardError: combines ? [] : errors)
        }
    }

    private func answer(_ call: Call) throws -> MockAnswer.Kind {
        let (answer, known) = state.withLock { state -> (MockAnswer?, [String]) in
            state.calls.append(call)
            for index in state.rules.indices where state.rules[index].matches(call.command) {
                let rule = state.rules[index]
                guard rule.repeats || rule.next < rule.answers.count else { continue }
                state.rules[index].next += 1
                return (rule.answers[rule.next % rule.answers.count], [])
            }
            return (nil, state.rules.map(\.name))
        }
        guard let answer else {
            throw OperationError(
                .unexpected, "the mock host \(name) has no answer to \(call.command.quotedForPeople)", host: name,
                advice: known.isEmpty ? "tell it one: on(…)" : "it answers " + known.joined(separator: ", "))
        }
        return answer.kind
    }
}
