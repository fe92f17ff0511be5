public import Martlet
import MartletReactor

/// An `ssh` for tools: whatever they run through it runs in contexts that are connected already. See ``withSSH(_:isolation:_:)``.
public final class SSHShim: Sendable {
    let runtime: ContextRuntime
    private let lent: LentProgram
    private let token: String
    private let server: ShimServer

    init(_ hosts: SSHHosts, in parents: [String] = LentProgram.usualParents) throws {
        runtime = hosts.runtime
        token = try LentProgram.token()
        let (lent, listener) = try LentProgram.make(in: parents)
        self.lent = lent
        do {
            server = try ShimServer(listener: listener, token: token, hosts)
        } catch {
            lent.remove()
            throw MartletError(.misuse, "tools' ssh has nothing to speak to: \(error)")
        }
    }

    /// The path of the program, for tools that want one: `scp -S`, `sftp -S`, `rsync -e`.
    public var program: String { lent.program }

    /// What has to be set, or with `nil` removed, in the environment of a tool: `PATH`, so that `ssh`, `scp` and `sftp` are
    /// found, `RSYNC_RSH`, `GIT_SSH_COMMAND` and the like, and what entitles to the contexts. Whoever has that may run commands
    /// there, as long as the scope is open: it is for this user's own tools.
    public var environment: [String: String?] {
        lent.environment(token, path: ProcessEnvironment.current["PATH"])
    }

    /// The arguments of a tool as they have to be: `scp` and `sftp` do not look for `ssh`, and are told where it is.
    public func arguments(_ arguments: [String]) -> [String] {
        guard let tool = arguments.first else { return arguments }
        let name = tool.utf8.split(separator: UInt8(ascii: "/")).last.map { String($0) }
        guard name == "scp" || name == "sftp" else { return arguments }
        return [tool, "-S", lent.program] + arguments.dropFirst()
    }

    /// Runs a tool on this machine, with the environment that it needs.
    ///
    /// - Parameters:
    ///   - arguments: the tool, searched in `PATH`, and its arguments.
    ///   - options: as for a command of a context. A terminal is not among what a tool can have here.
    ///   - onLine: gets each line as it comes. While it waits, so does the tool.
    /// - Throws: ``MartletError`` `commandNotStarted`; what `onLine` throws; `CancellationError`. The tool has ended then.
    @discardableResult
    public func run(
        _ arguments: [String], options: CommandOptions = .init(),
        onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) async throws -> CommandResult {
        var options = options
        var environment = self.environment
        // What the caller sets wins, but what leads to us.
        if let path = options.environment["PATH"] {
            environment["PATH"] = lent.environment(token, path: path)["PATH"] ?? path
        }
        options.environment = environment.merging(options.environment.filter { $0.key != "PATH" }) { $1 }
        return try await LocalTool(runtime).run(self.arguments(arguments), options, onLine)
    }

    func close() {
        server.close()
        lent.remove()
    }
}

/// Lends an `ssh` to tools while `body` runs: `rsync`, `scp`, `sftp`, `git`, or whatever else runs `ssh`. Any number of them may
/// run at once; what they still run far away when `body` ends is ended.
///
///     try await withSSH(.named(["web": web, "db": db])) { shim in
///         try await shim.run(["scp", "-3", "web:/etc/motd", "db:/tmp/"])
///     }
///
/// What `ssh` is asked for runs as sshd would run it: by the login shell of the user whom the context runs as, in their home. As
/// whom, is the context's matter: a user that a tool names (`-l`, `git@host`) is not looked at. So `rsync` through a context behind
/// sudo reads and writes as root.
///
/// - Throws: what `body` throws; ``MartletError`` if there is no place for a socket.
public func withSSH<R: Sendable>(
    _ hosts: SSHHosts, isolation: isolated (any Actor)? = #isolation, _ body: (SSHShim) async throws -> R
) async throws -> R {
    let shim = try SSHShim(hosts)
    defer { shim.close() }
    return try await body(shim)
}

extension Context {
    /// Runs a tool on this machine whose `ssh` leads into this context, whatever host it names:
    /// `web.runWithSSH(["rsync", "-a", "site/", "web:/srv/site/"])`. See ``withSSH(_:isolation:_:)``.
    ///
    /// - Throws: as ``SSHShim/run(_:options:onLine:)``.
    @discardableResult
    public func runWithSSH(
        _ arguments: [String], options: CommandOptions = .init(),
        onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) async throws -> CommandResult {
        try await withSSH(.any(self)) { try await $0.run(arguments, options: options, onLine: onLine) }
    }
}
