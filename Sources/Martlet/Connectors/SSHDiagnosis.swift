/// What OpenSSH's own words mean, and what helps.
enum SSHDiagnosis {
    private static func symptoms(_ host: String) -> [Symptom] {
        [
            Symptom(
                ["REMOTE HOST IDENTIFICATION HAS CHANGED"], .hostKeyRejected,
                "the host key of \(host) is not the one on record",
                "find out why the key changed before anything else; if it is right, remove the old one with: ssh-keygen -R \(host)"
            ),
            Symptom(
                ["Host key verification failed"], .hostKeyRejected, "the host key of \(host) is not known",
                "log in once by hand to compare and accept the key: ssh \(host)"),
            Symptom(
                ["Could not resolve hostname"], .unreachable, "there is no host called \(host)",
                "check the name, and HostName in your ssh_config"),
            Symptom(
                ["Connection refused"], .unreachable, "\(host) refused the connection",
                "is sshd running there, and on this port?"),
            Symptom(
                ["No route to host"], .unreachable, "there is no route to \(host)",
                "check the network between here and there"),
            Symptom(
                ["Network is unreachable"], .unreachable, "the network of \(host) is unreachable",
                "check the network between here and there"),
            Symptom(
                ["Connection timed out"], .unreachable, "\(host) did not answer",
                "is the machine up, and does a firewall let port 22 through?"),
            Symptom(
                ["Too many authentication failures"], .authenticationFailed,
                "\(host) gave up after too many keys were tried",
                "name the one key: IdentityFile and IdentitiesOnly=yes"),
            Symptom(
                ["Permission denied"], .authenticationFailed, "\(host) did not accept any key or certificate of ours",
                "see which keys are offered: ssh -v \(host)"),
            Symptom(
                ["no matching "], .connectorFailed, "our ssh and \(host) have no algorithm in common",
                "allow the one that it offers, for this host only, in your ssh_config"),
            Symptom(
                ["Bad configuration option", "Can't open user config file", "command-line line "], .connectorFailed,
                "ssh does not take its options or its configuration file",
                "its words above name what: an option of ours, or a line of your ssh_config"),
            Symptom(
                ["kex_exchange_identification"], .unreachable,
                "\(host) closed the connection before it said who it is",
                "too many connects at once for its MaxStartups, or it is not an ssh server"),
        ]
    }

    /// What ssh says when a connection ends in the midst of things.
    private static func brokenConnection(_ host: String) -> Symptom {
        Symptom(
            ["closed by remote host", "Broken pipe", "Connection reset by", "Connection closed by"], .connectorFailed,
            "the connection to \(host) broke",
            "did the machine or its sshd go down, or does something between here and there cut connections?")
    }

    static func error(_ failure: ConnectorFailure, host: String) -> MartletError? {
        // What the far machine's own programs print is not ssh's word: only before the session counts.
        guard failure.phase != .boot || failure.exitCode == 255 else { return nil }
        let lines = failure.lines
        if let known = Symptom.first(of: symptoms(host), in: lines) { return known.error(known.phase, lines) }
        return Symptom.first(of: [brokenConnection(host)], in: lines)?.error(failure.phase, lines)
    }

    /// Whether another try a moment later may well succeed: sshd turns connections away at random when many come at once.
    static func isTransient(_ error: MartletError) -> Bool {
        error.code == .unreachable
            && (error.detail?.mentions("kex_exchange_identification") == true
                || error.detail?.mentions("Connection reset") == true)
    }
}
