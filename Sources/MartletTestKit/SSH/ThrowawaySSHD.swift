import Foundation

/// A real OpenSSH server on a free loopback port, with keys, a client configuration and a home of its own.
///
/// ```swift
/// try await withThrowawaySSHD { sshd in
///     let context = try await martlet.connect(.ssh(sshd.hostAlias, configuration: sshd.configPath))
/// }
/// ```
/// The user is the one who runs the test, be it root or not. Works wherever `/usr/sbin/sshd` and `ssh` are installed.
public struct ThrowawaySSHD: Sendable {
    let files: SSHFiles

    /// The port on 127.0.0.1.
    public let port: Int

    /// The client's configuration, for `ssh -F`. It keeps the user's own configuration and agent out.
    public var configPath: String { files.clientConfigPath }

    /// The name to connect to. No other server has it.
    public var hostAlias: String { files.hostAlias }

    /// The directory that holds all of it; mode 0700.
    public var directory: String { files.directory.path }

    /// The server's log.
    public var logPath: String { files.logPath }

    /// The private key that the server accepts; the public one is beside it, with `.pub`.
    public var userKeyPath: String { "\(directory)/user" }

    /// The private key with a passphrase that the server accepts too, if the configuration has one.
    public var lockedKeyPath: String { "\(directory)/locked" }

    /// The public key of the host.
    public var hostKeyPath: String { "\(directory)/host.pub" }

    /// Where `$HOME` points at the far side.
    public var home: String { files.home ?? NSHomeDirectory() }

    /// The name to connect to for another way to the same server.
    public func hostAlias(_ variant: Variant) -> String { files.hostAlias(variant) }

    /// What the server has logged so far.
    public func log() -> String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// The programs that run at the far side now: whatever the sessions started, wherever it hangs in the process tree.
    public func programs() -> Set<ProcessTable.Entry> {
        files.directory.processes().filter { entry in
            // The marker is in the environment of far programs only; the path is in the arguments of ssh and sshd too.
            let environment = ProcFile.bytes("/proc/\(entry.pid)/environ") ?? []
            let isFar = environment.contains(Array(files.directory.marker.utf8))
            let runsFromHere = ["exe", "cwd"].contains { link in
                ProcFile.link("/proc/\(entry.pid)/\(link)")?.hasPrefix(directory + "/") ?? false
            }
            return (isFar || runsFromHere) && !entry.name.hasPrefix("sshd")
        }
    }

    /// Kills the server's side of every open connection, as a crash of the far machine would. The server itself goes on.
    public func dropConnections() {
        let listener = (try? String(contentsOfFile: files.pidPath, encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        for entry in files.directory.processes() where entry.name.hasPrefix("sshd") && entry.pid != listener {
            entry.send(signal: SIGKILL)
        }
        for entry in listener.map({ ProcessTable.descendants(of: $0) }) ?? [] where entry.name.hasPrefix("sshd") {
            entry.send(signal: SIGKILL)
        }
    }

    /// Runs a command through `ssh`, to its end.
    ///
    /// - Parameters:
    ///   - command: What the far login shell runs.
    ///   - variant: The way to the server. Default the plain one.
    ///   - input: What the command reads. Default nothing.
    /// - Throws: As ``runProgram(_:input:environment:within:)``.
    public func run(_ command: String, by variant: Variant? = nil, input: String = "") async throws -> ProgramResult {
        let host = variant.map(hostAlias) ?? hostAlias
        return try await runProgram(["ssh", "-F", configPath, "-o", "BatchMode=yes", host, command], input: input)
    }

    /// Runs `body` with an `ssh-agent` that holds the user's key; ``Variant/agent`` then works.
    ///
    /// - Parameter body: Is given the agent's socket, for `SSH_AUTH_SOCK`.
    /// - Throws: What `body` throws, and ``TestKitError``.
    public func withAgent<Result>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (_ socket: String) async throws -> Result
    ) async throws -> Result {
        let socket = "\(directory)/agent.sock"
        let agent = try HelperProcess(["ssh-agent", "-D", "-a", socket])
        do {
            try await require("ssh-agent's socket", within: .seconds(10)) {
                FileManager.default.fileExists(atPath: socket)
            }
            try await runTool(["ssh-add", "-q", userKeyPath], environment: ["SSH_AUTH_SOCK": socket])
            let result = try await body(socket)
            await agent.end()
            return result
        } catch {
            await agent.end()
            throw error
        }
    }
}
