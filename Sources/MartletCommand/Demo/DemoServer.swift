import Martlet
import MartletFleet

/// A real sshd for the length of a scope: on a loopback port, with keys and a home of its own in a temporary directory.
struct DemoServer: Sendable {
    var connector: SSHConnector
    var port: Int
    /// Where `$HOME` points at its far side.
    var home: String

    private static let program = "/usr/sbin/sshd"

    /// Why there can be none here; nil if there can.
    static func obstacle(_ local: Context) async throws -> String? {
        guard SystemCalls.isExecutableFile(program) else {
            return "there is no \(program) here (package openssh-server)"
        }
        for tool in ["ssh", "ssh-keygen"] {
            guard try await local.run("command -v \(tool)").succeeded else {
                return "there is no \(tool) here (package openssh-client)"
            }
        }
        return nil
    }

    /// - Parameter local: a context on this machine. The server runs as a command in it, and so ends with it.
    /// - Throws: ``CommandFailure`` if the server does not start; what `body` throws.
    static func with(_ local: Context, _ body: @escaping @Sendable (DemoServer) async throws -> Void) async throws {
        let directory = try SystemCalls.makeTemporaryDirectory()
        // As root, sshd wants this directory, which a service manager makes elsewhere.
        let madeRunDirectory = SystemCalls.isRoot && SystemCalls.makeDirectory("/run/sshd", mode: 0o755)
        let result: Result<Void, any Error>
        do {
            try await prepare(directory, local)
            result = .success(try await serve(directory, local, body))
        } catch {
            result = .failure(error)
        }
        // Unstructured, because a scope that was cancelled has to clean up too.
        await Task { _ = try? await local.run(executable: "rm", arguments: ["-rf", directory]) }.value
        if madeRunDirectory { SystemCalls.removeEmptyDirectory("/run/sshd") }
        try result.get()
    }

    private static func prepare(_ directory: String, _ local: Context) async throws {
        for name in ["host", "user"] {
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "martlet-demo", "-f", "\(directory)/\(name)"]
            let result = try await local.run(executable: "ssh-keygen", arguments: arguments)
            guard result.succeeded else {
                throw CommandFailure("ssh-keygen failed: \(result.errorText)", exitStatus: ExitStatus.failed)
            }
        }
        try SystemCalls.writeFile("\(directory)/authorized_keys", try text("\(directory)/user.pub"))
        try SystemCalls.writeFile("\(directory)/known_hosts", "martlet-demo \(try text("\(directory)/host.pub"))")
        _ = SystemCalls.makeDirectory("\(directory)/home", mode: 0o700)
    }

    private static func text(_ path: String) throws -> String {
        String(decoding: try SystemCalls.readFile(path), as: UTF8.self)
    }

    /// Runs the server on a port that is free, and `body` while it does.
    private static func serve(
        _ directory: String,
        _ local: Context,
        _ body: @escaping @Sendable (DemoServer) async throws -> Void
    ) async throws {
        var reason = "no reason given"
        for attempt in 1...5 {
            // Below the range from which the system takes the ports of outgoing connections.
            let port = Int.random(in: 20_000..<32_000)
            let name = "\(directory)/sshd-\(attempt)"
            try SystemCalls.writeFile("\(name).config", serverConfiguration(directory, name, port))
            let server = DemoServer(
                connector: try connector(directory, name, port, user: local.facts.user),
                port: port,
                home: "\(directory)/home"
            )
            let isOver = try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    // -D: it stays our child. It ends early only if the port is taken or something is wrong with it.
                    _ = try await local.run(
                        executable: program, arguments: ["-D", "-f", "\(name).config", "-E", "\(name).log"])
                    return false
                }
                group.addTask {
                    // It writes its number once it listens.
                    for _ in 0..<200 where !SystemCalls.exists("\(name).pid") {
                        await Pause.wait(.milliseconds(25))
                        try Task.checkCancellation()
                    }
                    guard SystemCalls.exists("\(name).pid") else { return false }
                    try await body(server)
                    return true
                }
                let isOver = try await group.next()!
                group.cancelAll()
                while !group.isEmpty { _ = try? await group.next() }
                return isOver
            }
            if isOver { return }
            reason = (try? text("\(name).log")) ?? reason
            guard reason.utf8.count > 0, reason.split(separator: " ").contains("use.") || reason.isEmpty else { break }
        }
        throw CommandFailure("sshd did not start: \(reason)", exitStatus: ExitStatus.failed)
    }

    private static func serverConfiguration(_ directory: String, _ name: String, _ port: Int) -> String {
        """
        ListenAddress 127.0.0.1
        Port \(port)
        PidFile "\(name).pid"
        HostKey "\(directory)/host"
        AuthorizedKeysFile "\(directory)/authorized_keys"
        StrictModes no
        UsePAM no
        PermitRootLogin yes
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PrintMotd no
        SetEnv "HOME=\(directory)/home"

        """
    }

    private static func connector(
        _ directory: String,
        _ name: String,
        _ port: Int,
        user: String
    ) throws -> SSHConnector {
        try SystemCalls.writeFile(
            "\(name).client",
            """
            Host demo
            HostName 127.0.0.1
            HostKeyAlias martlet-demo
            Port \(port)
            User \(user)
            IdentityFile "\(directory)/user"
            IdentitiesOnly yes
            IdentityAgent none
            UserKnownHostsFile "\(directory)/known_hosts"
            GlobalKnownHostsFile /dev/null
            StrictHostKeyChecking yes

            """
        )
        return .ssh("demo", configuration: "\(name).client")
    }
}
