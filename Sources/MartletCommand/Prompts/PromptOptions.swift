import ArgumentParser
import Martlet

/// Who answers what ssh, sudo and their like ask on the way.
struct PromptOptions: ParsableArguments {
    @Flag(name: [.customShort("k"), .long], help: "Ask for the ssh password, once for all hosts.")
    var askPass = false

    @Flag(name: [.customShort("K"), .long], help: "Ask for the password of sudo, su or doas, once for all hosts.")
    var askSudoPass = false

    @Option(
        help: ArgumentHelp("Read the ssh password from a file that is yours alone.", valueName: "file"))
    var passwordFile: String?

    @Option(
        help: ArgumentHelp("Read the password of sudo, su or doas from a file that is yours alone.", valueName: "file"))
    var sudoPasswordFile: String?

    @Flag(help: "Ask here whatever programs on the way ask: passphrases, codes, host keys.")
    var ask = false

    @Option(
        help: ArgumentHelp(
            "Let this program answer what is asked; it gets the question as its argument, as SSH_ASKPASS does.",
            valueName: "program"))
    var askpass: String?

    func validate() throws {
        try OptionValue.notBlank([
            "--password-file": passwordFile, "--sudo-password-file": sudoPasswordFile, "--askpass": askpass,
        ])
        _ = try responder()
    }

    /// - Throws: ``CommandFailure`` for a file that cannot be used.
    func responder() throws -> (any PromptResponder)? {
        guard askPass || askSudoPass || ask || askpass != nil || passwordFile != nil || sudoPasswordFile != nil else {
            return nil
        }
        func known(_ file: String?, _ asks: Bool, _ question: String) throws -> SharedAnswer? {
            if let file {
                do { return .known(try Secret(contentsOfFile: file)) } catch let error as MartletError {
                    throw CommandFailure(error.message + (error.advice.map { "; try: \($0)" } ?? ""))
                }
            }
            return asks ? .asked(Question(question)) : nil
        }
        return CommandResponder(
            ssh: try known(passwordFile, askPass, "ssh password:"),
            sudo: try known(sudoPasswordFile, askSudoPass, "sudo password:"),
            asks: ask,
            askpass: askpass.map { AskpassResponder($0) }
        )
    }
}

/// What answers for all hosts alike.
private enum SharedAnswer: Sendable {
    case known(Secret)
    case asked(Question)

    var secret: Secret? {
        get async throws {
            switch self {
            case .known(let secret): secret
            case .asked(let question): try await question.answer()
            }
        }
    }
}

/// Asked at the terminal when it is wanted first; all who want it get the one answer.
private actor Question {
    private let text: String
    private var task: Task<Secret?, any Error>?

    init(_ text: String) { self.text = text }

    func answer() async throws -> Secret? {
        let task = task ?? Task { [text] in try await TerminalQuestion.shared.ask(text, isHidden: true) }
        self.task = task
        return try await task.value
    }
}

private struct CommandResponder: PromptResponder {
    var ssh: SharedAnswer?
    var sudo: SharedAnswer?
    var asks: Bool
    var askpass: AskpassResponder?

    func answer(_ prompt: Prompt) async throws -> Secret? {
        if let known = prompt.password(ssh: ssh, sudo: sudo) { return try await known.secret }
        if let askpass { return try await askpass.answer(prompt) }
        guard asks else { return nil }
        return try await TerminalQuestion.shared.ask(
            prompt.text, lines: ["[\(prompt.route)]"] + prompt.lines, isHidden: prompt.isHidden)
    }
}
