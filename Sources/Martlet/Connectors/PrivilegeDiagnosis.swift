/// What sudo, su and doas mean when they refuse.
enum PrivilegeDiagnosis {
    private static func symptoms(_ program: String, _ account: String, hasAnswered: Bool) -> [Symptom] {
        [
            Symptom(
                ["must have a tty", "a terminal is required"], .authenticationFailed,
                "\(program) insists on a terminal",
                "give the password, or a responder that knows it"),
            Symptom(
                [
                    "is not in the sudoers file", "is not allowed to execute", "may not run sudo",
                    "Operation not permitted",
                ],
                .authenticationFailed, "\(program) does not allow us to become \(account)",
                "ask who runs the machine for a rule; to see what is allowed: sudo -l"),
            Symptom(
                ["a password is required", "Authentication required", "password is required"], .authenticationFailed,
                "\(program) wants a password to become \(account)",
                "give it, or a responder that knows it (command line: --ask-sudo-pass), or allow it without"),
            Symptom(
                ["incorrect password", "Authentication fail", "Sorry, try again", "Authentication token manipulation"],
                .authenticationFailed, "\(program) did not let us become \(account)",
                hasAnswered ? "is the password the right one, and for this account?" : "give a password"),
            Symptom(
                ["unknown user", "does not exist", "no passwd entry"], .connectorFailed,
                "there is no user \(account) there"),
            Symptom(["unknown group"], .connectorFailed, "there is no such group there"),
            Symptom(
                ["account is not available", "This account is currently not available"], .noShell,
                "the login shell of \(account) takes no commands",
                "name another: su with a shell, or sudo, which needs none"),
        ]
    }

    static func error(_ failure: ConnectorFailure, program: String, account: String) -> MartletError? {
        // What the shell behind it prints is not its word.
        Symptom.first(of: symptoms(program, account, hasAnswered: failure.hasAnswered), in: failure.lines)?
            .error(.authenticate, failure.lines.suffix(20))
    }
}
