/// What a program on the way to a context asks, such as ssh or sudo: for a password, a passphrase, a word of consent.
public struct Prompt: Sendable, Codable {
    /// What the program wants to know.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// An account's password.
        case password
        /// What a private key is locked with.
        case passphrase
        /// A code that is good for once.
        case oneTimeCode
        /// Whether a host key that is not on record may be trusted.
        case hostKey
        /// Anything else.
        case other
    }

    /// The question itself, as the program wrote it; control characters are replaced. At most 500 characters.
    public var text: String
    /// The lines that the program wrote before it, since the last question: a lecture, a key's fingerprint. At most 20.
    public var lines: [String]
    /// What it asks for, as far as the connector can tell.
    public var kind: Kind
    /// Whether the program hides what is typed.
    public var isHidden: Bool
    /// On the way to which context it asks. Its last step names the connector: `sudo:root`.
    public var route: Route
}

/// Answers the questions of programs on the way to a context.
///
/// It is asked in the controller, whichever machine the program runs on. Each prompt is asked once: when a program asks the
/// same again, the answer was wrong, and the connect fails with ``MartletError/Code/authenticationFailed``. The far machine
/// writes the text; whose it is says ``Prompt/route`` alone.
public protocol PromptResponder: Sendable {
    /// - Returns: the answer, without a line's end; `nil` refuses: the connect fails with
    ///   ``MartletError/Code/promptRefused``, which quotes the prompt. Nobody waits longer than two minutes.
    /// - Throws: fails the connect likewise, with the error's text.
    func answer(_ prompt: Prompt) async throws -> Secret?
}

extension Prompt {
    /// As it came from another context, which may have written anything: what it says is bounded and harmless, and where it is
    /// asked is for us to say.
    func tamed(_ route: Route) -> Prompt {
        Prompt(
            text: PromptDialogue.visible(text, PromptDialogue.longestText),
            lines: lines.suffix(PromptDialogue.lineLimit).map {
                PromptDialogue.visible($0, PromptDialogue.longestLine)
            },
            kind: kind,
            isHidden: isHidden,
            route: route
        )
    }
}

extension Prompt {
    /// The one of two passwords that is asked for: ssh's, or that of sudo, su and doas. `nil`: neither.
    package func password<Password>(ssh: Password?, sudo: Password?) -> Password? {
        guard kind == .password else { return nil }
        return switch route.steps.last?.prefix(while: { $0 != ":" }) {
        case "ssh": ssh
        case "sudo", "su", "doas": sudo
        default: nil
        }
    }
}

extension PromptResponder {
    var answering: PromptAnswering { { try await self.answer($0) } }
}

/// Answers by a closure.
public struct ClosureResponder: PromptResponder {
    private let body: @Sendable (Prompt) async throws -> Secret?

    /// Answers with what `body` returns.
    public init(_ body: @escaping @Sendable (Prompt) async throws -> Secret?) { self.body = body }

    /// What the closure returns.
    public func answer(_ prompt: Prompt) async throws -> Secret? { try await body(prompt) }
}

/// Answers with secrets that are known beforehand, by kind of prompt and connector. It refuses all else.
public struct SecretsResponder: PromptResponder {
    /// For a ``Prompt/Kind/password`` on the way through ssh.
    public var sshPassword: Secret?
    /// For a ``Prompt/Kind/password`` of sudo, su and doas.
    public var sudoPassword: Secret?
    /// For a ``Prompt/Kind/passphrase``.
    public var passphrase: Secret?

    /// Those that are given.
    public init(sshPassword: Secret? = nil, sudoPassword: Secret? = nil, passphrase: Secret? = nil) {
        self.sshPassword = sshPassword
        self.sudoPassword = sudoPassword
        self.passphrase = passphrase
    }

    /// The secret for the kind of prompt.
    public func answer(_ prompt: Prompt) -> Secret? {
        prompt.kind == .passphrase ? passphrase : prompt.password(ssh: sshPassword, sudo: sudoPassword)
    }
}

/// Answers by a program, as ssh's `SSH_ASKPASS`: it gets the prompt as its only argument and prints the answer.
public struct AskpassResponder: PromptResponder {
    /// A path, or a name to be found in `PATH`.
    public var program: String

    /// Answers with what `program` prints.
    public init(_ program: String) { self.program = program }

    /// The first line of what the program prints; `nil` if it ends with a code other than 0.
    public func answer(_ prompt: Prompt) async throws -> Secret? {
        try await ProgramAnswer.of(program, [prompt.text])
    }
}
