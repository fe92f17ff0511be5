/// What sudo, su and doas mean when they refuse.
enum PrivilegeDiagnosis {
    private struct Symptom {
        var words: [String]
        var code = MartletError.Code.authenticationFailed
        /// Gets the program and the account.
        var message: (String, String) -> String
        var advice: (ConnectorFailure) -> String?
    }

    private static var symptoms: [Symptom] {
        [
            Symptom(words: ["must have a tty", "a terminal is required"]) { program, _ in
                "\(program) insists on a terminal"
            } advice: { _ in
                "give the password, or a responder that knows it"
            },
            Symptom(words: [
                "is not in the sudoers file", "is not allowed to execute", "may not run sudo",
                "Operation not permitted",
            ]) {
                program, account in
                "\(program) does not allow us to become \(account)"
            } advice: { _ in
                "ask who runs the machine for a rule; to see what is allowed: sudo -l"
            },
            Symptom(words: ["a password is required", "Authentication required", "password is required"]) {
                program, account in
                "\(program) wants a password to become \(account)"
            } advice: { _ in
                "give it, or a responder that knows it (command line: --ask-sudo-pass), or allow it without"
            },
            Symptom(words: [
                "incorrect password", "Authentication fail", "Sorry, try again", "Authentication token manipulation",
            ]) {
                program, account in
                "\(program) did not let us become \(account)"
            } advice: {
                $0.hasAnswered ? "is the password the right one, and for this account?" : "give a password"
            },
            Symptom(words: ["unknown user", "does not exist", "no passwd entry"], code: .connectorFailed) {
                _, account in
                "there is no user \(account) there"
            } advice: { _ in
                nil
            },
            Symptom(words: ["unknown group"], code: .connectorFailed) { _, _ in
                "there is no such group there"
            } advice: { _ in
                nil
            },
            Symptom(words: ["account is not available", "This account is currently not available"], code: .noShell) {
                _, account in
                "the login shell of \(account) takes no commands"
            } advice: { _ in
                "name another: su with a shell, or sudo, which needs none"
            },
        ]
    }

    static func error(_ failure: ConnectorFailure, program: String, account: String) -> MartletError? {
        // What the shell behind it prints is not its word.
        guard
            let symptom = symptoms.first(where: { symptom in
                failure.lines.contains { line in symptom.words.contains { line.mentions($0) } }
            })
        else { return nil }
        return MartletError(
            symptom.code,
            symptom.message(program, account),
            phase: .authenticate,
            detail: failure.lines.suffix(20).joined(separator: "\n"),
            advice: symptom.advice(failure)
        )
    }
}
