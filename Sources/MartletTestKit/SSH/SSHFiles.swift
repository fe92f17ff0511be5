import Foundation

/// The keys and configuration files of a server and its client, in one directory.
struct SSHFiles: Sendable {
    let directory: TemporaryDirectory
    let configuration: ThrowawaySSHD.Configuration
    let hostAlias: String
    /// The address the client connects to.
    let address: String
    /// Lines about the way to the server, for all host aliases.
    var routeLines: [String] = []
    /// Lines about further hosts with the same keys, whose aliases begin as ours. They come before all others.
    var hostLines: [String] = []

    private let olderThanPenalties: Bool

    /// Makes the keys.
    init(
        in directory: TemporaryDirectory,
        _ configuration: ThrowawaySSHD.Configuration,
        address: String
    ) async throws {
        self.directory = directory
        self.configuration = configuration
        self.address = address
        hostAlias = "throwaway-" + directory.path.suffix(6).lowercased()
        var keys = ["host": "", "user": "", "other": ""]
        if configuration.makesCertificates {
            keys["authority"] = ""
            keys["signed"] = ""
        }
        keys["locked"] = configuration.passphrase
        try await withThrowingTaskGroup { group in
            for (name, passphrase) in keys {
                let file = "\(directory.path)/\(name)"
                let command = [
                    "ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-C", name, "-f", file,
                ]
                group.addTask { _ = try await runTool(command) }
            }
            try await group.waitForAll()
        }
        // OpenSSH 9.8 began to lock out an address that failed to log in, and refuses configurations with unknown words.
        let version = try await runProgram(["ssh", "-V"]).errors.dropFirst("OpenSSH_".count).prefix { $0 != "p" }
        olderThanPenalties = (Double(version.prefix { $0.isNumber || $0 == "." }) ?? 0) < 9.8
        try await writeKeyFiles()
        try writeHome()
    }

    var serverConfigPath: String { "\(directory.path)/sshd_config" }
    var clientConfigPath: String { "\(directory.path)/ssh_config" }
    var logPath: String { "\(directory.path)/sshd.log" }
    var pidPath: String { "\(directory.path)/sshd.pid" }

    var home: String? {
        switch configuration.home {
        case .fresh: "\(directory.path)/home"
        case .own: nil
        case .path(let path): path
        }
    }

    private func publicKey(_ name: String) throws -> String {
        try String(contentsOfFile: "\(directory.path)/\(name).pub", encoding: .utf8)
    }

    private func writeKeyFiles() async throws {
        var accepted = try publicKey("user")
        if configuration.passphrase != nil { accepted += try publicKey("locked") }
        try directory.write("authorized_keys", accepted)
        try directory.write("known_hosts", "\(hostAlias) \(publicKey("host"))")
        try directory.write("known_hosts.unknown", "")
        try directory.write("known_hosts.changed", "\(hostAlias) \(publicKey("other"))")
        guard configuration.makesCertificates else { return }
        try directory.write("known_hosts.authority", "@cert-authority * \(publicKey("authority"))")
        let sign = ["ssh-keygen", "-q", "-s", "\(directory.path)/authority", "-V", "-5m:+1d", "-I", "throwaway", "-n"]
        try await runTool(sign + [hostAlias, "-h", "\(directory.path)/host.pub"])
        try await runTool(sign + [NSUserName(), "\(directory.path)/signed.pub"])
    }

    private func writeHome() throws {
        guard case .fresh = configuration.home, let home else { return }
        let manager = FileManager.default
        try manager.createDirectory(
            atPath: home, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for (name, text) in configuration.homeFiles {
            let file = URL(fileURLWithPath: "\(home)/\(name)")
            try manager.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }

    func writeServerConfig(listenAddress: String, port: Int) throws {
        let path = directory.path
        var variables = configuration.environment
        variables["HOME"] = variables["HOME"] ?? home
        let marker = "\"\(directory.marker)\""
        let environment = [marker] + variables.sorted { $0.key < $1.key }.map { "\"\($0.key)=\($0.value)\"" }
        var own = [
            "ListenAddress \(listenAddress)", "Port \(port)", "PidFile \(pidPath)", "HostKey \(path)/host",
            "AuthorizedKeysFile \(path)/authorized_keys", "StrictModes no", "UsePAM no", "PermitRootLogin yes",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "Subsystem sftp internal-sftp",
            "MaxStartups \(configuration.maxStartups)", "MaxSessions \(configuration.maxSessions)",
            "PerSourceMaxStartups none", "PrintMotd no", "SetEnv \(environment.joined(separator: " "))",
        ]
        if !olderThanPenalties { own.append("PerSourcePenalties no") }
        if configuration.makesCertificates {
            own += ["HostCertificate \(path)/host-cert.pub", "TrustedUserCAKeys \(path)/authority.pub"]
        }
        // The first value of a word wins, and everything after a Match belongs to it.
        let given = configuration.serverLines
        let match = given.firstIndex { $0.lowercased().hasPrefix("match ") } ?? given.endIndex
        let lines = given[..<match] + own + given[match...]
        try directory.write("sshd_config", lines.joined(separator: "\n") + "\n")
    }

    func writeClientConfig(port: Int, pipeCommand: String?, named name: String = "ssh_config") throws {
        let path = directory.path
        // Options of the test's own hold for all hosts, so they stand before the first of ours.
        var lines = configuration.clientLines + hostLines
        func host(_ variant: ThrowawaySSHD.Variant, _ options: String...) {
            lines += ["Host \(hostAlias(variant))"] + options
        }
        host(.unknownHostKey, "UserKnownHostsFile \(path)/known_hosts.unknown")
        host(.changedHostKey, "UserKnownHostsFile \(path)/known_hosts.changed")
        host(.refusedKey, "IdentityFile \(path)/other")
        host(.closedPort, "Port 1")
        host(.hostCertificate, "UserKnownHostsFile \(path)/known_hosts.authority")
        host(.userCertificate, "IdentityFile \(path)/signed", "CertificateFile \(path)/signed-cert.pub")
        host(.lockedKey, "IdentityFile \(path)/locked")
        host(.agent, "IdentityFile \(path)/user.pub", "IdentityAgent \(path)/agent.sock")
        if let pipeCommand { host(.pipe, "ProxyCommand \(pipeCommand)") }
        // All identity files that match are offered, unlike other words, of which the first wins.
        let ownKey: [ThrowawaySSHD.Variant] = [.refusedKey, .userCertificate, .lockedKey, .agent]
        let excluded = ownKey.map { "!\(hostAlias($0))" }.joined(separator: " ")
        lines += ["Host \(hostAlias) \(hostAlias)-* \(excluded)", "IdentityFile \(path)/user"]
        lines += ["Host \(hostAlias) \(hostAlias)-*", "HostName \(address)", "Port \(port)", "User \(NSUserName())"]
        lines += ["HostKeyAlias \(hostAlias)", "UserKnownHostsFile \(path)/known_hosts", "IdentityAgent none"]
        lines += [
            "GlobalKnownHostsFile /dev/null", "StrictHostKeyChecking yes", "IdentitiesOnly yes", "LogLevel ERROR",
        ]
        if configuration.usesCheapKeyExchange { lines.append("KexAlgorithms curve25519-sha256") }
        lines += routeLines
        try directory.write(name, lines.joined(separator: "\n") + "\n")
    }

    func hostAlias(_ variant: ThrowawaySSHD.Variant) -> String { "\(hostAlias)-\(variant.rawValue)" }

    /// The command line that becomes the server, to which `-D` or `-i` is added.
    func serverCommand() throws -> [String] {
        let server = ["/usr/sbin/sshd", "-f", serverConfigPath, "-E", logPath]
        guard let shell = configuration.loginShell else { return server }
        guard getuid() == 0 else {
            throw TestKitError(code: .unavailable, message: "only root can give the far side another login shell")
        }
        // sshd asks the system for the shell; in a mount namespace of its own the system has another answer.
        let users = try String(contentsOfFile: "/etc/passwd", encoding: .utf8).split(separator: "\n").map { line in
            var fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 7, fields[0] == NSUserName() else { return String(line) }
            fields[5] = home ?? fields[5]
            fields[6] = shell
            return fields.joined(separator: ":")
        }
        let passwd = try directory.write("passwd", users.joined(separator: "\n") + "\n", mode: 0o644)
        let script = """
            exec unshare --mount --propagation slave -- \
            sh -c 'mount --bind "$0" /etc/passwd && exec "$@"' \(passwd) "$@"
            """
        // Not executed itself: a file that was just written may be open for writing in some new process still.
        return ["/bin/sh", try directory.write("with-login-shell", script)] + server
    }
}
