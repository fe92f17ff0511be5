/// What OpenSSH's own words mean, and what helps.
enum SSHDiagnosis {
    private struct Symptom {
        var words: String
        var code: MartletError.Code
        /// `nil`: how far the connect had come.
        var phase: ConnectPhase?
        var message: (String) -> String
        var advice: (String) -> String?
    }

    private static var symptoms: [Symptom] {
        [
            Symptom(words: "REMOTE HOST IDENTIFICATION HAS CHANGED", code: .hostKeyRejected, phase: .authenticate) {
                "the host key of \($0) is not the one on record"
            } advice: {
                "find out why the key changed before anything else; if it is right, remove the old one with: ssh-keygen -R \($0)"
            },
            Symptom(words: "Host key verification failed", code: .hostKeyRejected, phase: .authenticate) {
                "the host key of \($0) is not known"
            } advice: {
                "log in once by hand to compare and accept the key: ssh \($0)"
            },
            Symptom(words: "Could not resolve hostname", code: .unreachable, phase: .reach) {
                "there is no host called \($0)"
            } advice: { _ in
                "check the name, and HostName in your ssh_config"
            },
            Symptom(words: "Connection refused", code: .unreachable, phase: .reach) {
                "\($0) refused the connection"
            } advice: { _ in
                "is sshd running there, and on this port?"
            },
            Symptom(words: "No route to host", code: .unreachable, phase: .reach) {
                "there is no route to \($0)"
            } advice: { _ in
                "check the network between here and there"
            },
            Symptom(words: "Network is unreachable", code: .unreachable, phase: .reach) {
                "the network of \($0) is unreachable"
            } advice: { _ in
                "check the network between here and there"
            },
            Symptom(words: "Connection timed out", code: .unreachable, phase: .reach) {
                "\($0) did not answer"
            } advice: { _ in
                "is the machine up, and does a firewall let port 22 through?"
            },
            Symptom(words: "Too many authentication failures", code: .authenticationFailed, phase: .authenticate) {
                "\($0) gave up after too many keys were tried"
            } advice: { _ in
                "name the one key: IdentityFile and IdentitiesOnly=yes"
            },
            Symptom(words: "Permission denied", code: .authenticationFailed, phase: .authenticate) {
                "\($0) did not accept any key or certificate of ours"
            } advice: {
                "see which keys are offered: ssh -v \($0)"
            },
            Symptom(words: "no matching ", code: .connectorFailed, phase: .reach) {
                "our ssh and \($0) have no algorithm in common"
            } advice: { _ in
                "allow the one that it offers, for this host only, in your ssh_config"
            },
            Symptom(words: "Bad configuration option", code: .connectorFailed, phase: .reach) { _ in
                "ssh does not understand its configuration"
            } advice: { _ in
                nil
            },
            Symptom(words: "kex_exchange_identification", code: .unreachable, phase: .reach) {
                "\($0) closed the connection before it said who it is"
            } advice: { _ in
                "too many connects at once for its MaxStartups, or it is not an ssh server"
            },
        ]
            + brokenConnection.map { words in
                Symptom(words: words, code: .connectorFailed) {
                    "the connection to \($0) broke"
                } advice: { _ in
                    "did the machine or its sshd go down, or does something between here and there cut connections?"
                }
            }
    }

    /// What ssh says when a connection ends in the midst of things.
    private static let brokenConnection = [
        "closed by remote host", "Broken pipe", "Connection reset by", "Connection closed by",
    ]

    static func error(_ failure: ConnectorFailure, host: String, program: String) -> MartletError? {
        let lines = failure.lines
        for symptom in symptoms {
            // What the far machine's own programs print is not ssh's word: only before the session counts.
            guard failure.phase != .boot || failure.exitCode == 255,
                lines.contains(where: { $0.mentions(symptom.words) })
            else { continue }
            return MartletError(
                symptom.code,
                symptom.message(host),
                phase: symptom.phase ?? failure.phase,
                detail: lines.joined(separator: "\n"),
                advice: symptom.advice(host)
            )
        }
        return nil
    }

    /// Whether another try a moment later may well succeed: sshd turns connections away at random when many come at once.
    static func isTransient(_ error: MartletError) -> Bool {
        error.code == .unreachable
            && (error.detail?.mentions("kex_exchange_identification") == true
                || error.detail?.mentions("Connection reset") == true)
    }
}
