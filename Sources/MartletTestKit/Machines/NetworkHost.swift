import Foundation

/// A far machine with an sshd, on a network of its own that can be cut. Root only.
///
/// The controller's end of the network is a network namespace too, so that cutting it disturbs nothing else. `ssh` runs
/// outside of it, in the test's own process tree, but its connection is made inside, by a helper that hands the socket over.
public struct NetworkHost: Sendable {
    let files: SSHFiles
    let controller: HelperProcess

    /// The far machine.
    public let machine: ThrowawayMachine

    /// The client's configuration, for `ssh -F`.
    public var configPath: String { files.clientConfigPath }

    /// The name to connect to.
    public var hostAlias: String { files.hostAlias }

    /// The beginning of a command line that runs the rest of it in the controller's network: the far machine is 10.77.1.2.
    public var controllerPrefix: [String] { ["nsenter", "-t", "\(controller.pid)", "-n", "--"] }

    /// Cuts the network: packets vanish in both directions, and neither side hears of it.
    public func cut() async throws { try await setLink("down") }

    /// Mends the network.
    public func heal() async throws { try await setLink("up") }

    /// Ends the far machine at once, as a power cut does, but with the network still up: the near side sees a reset.
    /// Cut the network first for a silent end.
    public func crash() async { await machine.crash() }

    private func setLink(_ state: String) async throws {
        try await runTool(controllerPrefix + ["ip", "link", "set", "port", state])
    }

    /// The address is on a bridge and the cable is one of its ports: with the port down, both addresses and their routes
    /// stay, so that neither side gets an error from its own kernel.
    static func networkScript(controller: Int32, machine: Int32) -> String {
        """
        set -e
        ip link set lo up
        ip link add br0 type bridge forward_delay 0
        ip addr add 10.77.1.1/24 dev br0
        ip link set br0 up
        ip link add port type veth peer name eth0 netns \(machine)
        ip link set port master br0 up
        nsenter -t \(machine) -n -- sh -c 'ip addr add 10.77.1.2/24 dev eth0 && ip link set eth0 up'
        """
    }

    /// Connects and hands the socket to ssh on descriptor 1 (`ProxyUseFdpass`).
    static let connectScript = """
        import array, socket, sys
        made = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        rights = array.array("i", [made.fileno()])
        socket.socket(fileno=1).sendmsg([b"\\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        """
}

/// Makes a far machine with an sshd behind a network that can be cut, runs `body`, and ends all of it. Root only.
///
/// - Parameters:
///   - configuration: What the server is like. A login shell of its own is not supported here.
///   - body: What to do with the machine.
/// - Throws: What `body` throws; ``TestKitError`` with code `unavailable` unless this is root with `ip` and `python3`,
///   `failed` with what the tools printed.
public func withNetworkHost<Result>(
    _ configuration: ThrowawaySSHD.Configuration = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (NetworkHost) async throws -> Result
) async throws -> Result {
    let directory = try TemporaryDirectory()
    var helpers: [HelperProcess] = []
    do {
        let marker = ["MARTLET_TESTKIT": directory.path]
        let controller = try HelperProcess(["unshare", "--net", "--", "sleep", "infinity"], environment: marker)
        helpers.append(controller)
        let machine = try await ThrowawayMachine(.init(), in: directory, keepsDirectory: true)
        helpers.append(machine.keeper)
        var files = try await SSHFiles(in: directory, configuration, address: "10.77.1.2")
        // Until it is in its own network, the controller's namespace is ours.
        let ours = ProcFile.link("/proc/self/ns/net")
        try await require("a network namespace", within: .seconds(10)) {
            ProcFile.link("/proc/\(controller.pid)/ns/net") != ours
        }
        let network = NetworkHost.networkScript(controller: controller.pid, machine: machine.pid)
        try await runTool(["nsenter", "-t", "\(controller.pid)", "-n", "--", "sh", "-c", network])
        try files.writeServerConfig(listenAddress: "0.0.0.0", port: 22)
        helpers.append(try HelperProcess(machine.commandPrefix + files.serverCommand() + ["-D"]))
        try await require("the start of sshd", within: .seconds(20)) {
            FileManager.default.fileExists(atPath: files.pidPath)
        }
        let connect = try directory.write("connect.py", NetworkHost.connectScript)
        files.routeLines = [
            "ProxyCommand nsenter -t \(controller.pid) -n -- python3 -S -E \(connect) %h %p", "ProxyUseFdpass yes",
        ]
        try files.writeClientConfig(port: 22, pipeCommand: nil)
        let result = try await body(NetworkHost(files: files, controller: controller, machine: machine))
        for helper in helpers.reversed() { await helper.end() }
        await directory.remove()
        return result
    } catch {
        for helper in helpers.reversed() { await helper.end() }
        await directory.remove()
        throw error
    }
}
