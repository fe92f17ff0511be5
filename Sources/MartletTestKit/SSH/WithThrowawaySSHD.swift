import Foundation

/// Starts a real OpenSSH server of its own, runs `body`, and ends the server and everything that it started.
///
/// Ready in about 50 ms. Should this process die before the end, a guard ends the server and removes its files.
///
/// - Parameters:
///   - configuration: What the server is like.
///   - body: What to do with it.
/// - Throws: What `body` throws; ``TestKitError`` with code `unavailable` where OpenSSH is not installed, `failed` with the
///   server's log if it does not start, `leftBehind` if far programs outlive the body too long.
public func withThrowawaySSHD<Result>(
    _ configuration: ThrowawaySSHD.Configuration = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (ThrowawaySSHD) async throws -> Result
) async throws -> Result {
    guard FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd") else {
        throw TestKitError(code: .unavailable, message: "no /usr/sbin/sshd; install openssh-server")
    }
    // As root, sshd wants this directory, which a service manager makes elsewhere.
    if getuid() == 0 { mkdir("/run/sshd", 0o755) }
    let directory = try TemporaryDirectory()
    var server: HelperProcess?
    do {
        let files = try await SSHFiles(in: directory, configuration, address: "127.0.0.1")
        let command = try files.serverCommand()
        let (process, port) = try await startServer(files, command)
        server = process
        try files.writeClientConfig(port: port, pipeCommand: (command + ["-i"]).joined(separator: " "))
        let sshd = ThrowawaySSHD(files: files, port: port)
        let result = try await body(sshd)
        try await sshd.requireNoPrograms()
        await server?.end()
        await directory.remove()
        return result
    } catch {
        await server?.end()
        await directory.remove()
        throw error
    }
}

extension ThrowawaySSHD {
    /// Waits until no far program runs, unless the configuration lets them.
    func requireNoPrograms() async throws {
        guard let limit = files.configuration.programsMayOutlive else { return }
        if case .late = await poll(within: limit, { programs().isEmpty }) {
            let names = programs().map(\.description).sorted().joined(separator: ", ")
            throw TestKitError(code: .leftBehind, message: "still at the far side of \(hostAlias): \(names)")
        }
    }
}

/// Starts the server on a port that is free now, and on another one if it was taken meanwhile.
private func startServer(_ files: SSHFiles, _ command: [String]) async throws -> (HelperProcess, port: Int) {
    for _ in 1...8 {
        // Below the range from which the system takes the ports of outgoing connections.
        let port = Int.random(in: 20000..<32000)
        try files.writeServerConfig(listenAddress: "127.0.0.1", port: port)
        let server = try HelperProcess(command + ["-D"])
        do {
            // sshd writes its number once it listens, so nobody else's server on the port is taken for it.
            try await require("the start of sshd", within: .seconds(20)) {
                FileManager.default.fileExists(atPath: files.pidPath) || server.poll() != nil
            }
        } catch {
            await server.end()
            throw error
        }
        if server.poll() == nil { return (server, port) }
        let log = ProcFile.text(files.logPath) ?? ""
        guard log.contains("already in use") else {
            throw TestKitError(code: .failed, message: "sshd did not start: \(log)")
        }
        unlink(files.logPath)
    }
    throw TestKitError(code: .failed, message: "no free port for sshd in eight tries")
}
