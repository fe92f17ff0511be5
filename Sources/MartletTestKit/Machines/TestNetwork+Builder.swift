import Foundation
import Synchronization

/// Starts the parts of a ``TestNetwork`` and owns them.
final class TestNetworkBuilder: Sendable {
    private let directory: TemporaryDirectory
    private let helpers = Mutex<[HelperProcess]>([])
    private let directories = Mutex<[TemporaryDirectory]>([])

    init() throws { directory = try TemporaryDirectory() }

    /// Ends all that was started, the youngest first.
    func end() async {
        for helper in helpers.withLock({ $0 }).reversed() { await helper.end() }
        for directory in directories.withLock({ $0 }) + [directory] { await directory.remove() }
    }

    private func start(_ command: [String]) throws -> HelperProcess {
        let helper = try HelperProcess(command, environment: ["MARTLET_TESTKIT": directory.path])
        helpers.withLock { $0.append(helper) }
        return helper
    }

    func build(hiddenHosts: Int, _ configuration: ThrowawaySSHD.Configuration) async throws -> TestNetwork {
        let controller = try start(["unshare", "--net", "--", "sleep", "infinity"])
        let names = ["bastion"] + (0..<hiddenHosts).map { "hidden-\($0 + 1)" }
        // The directory is the same on all hosts; each has a home of its own.
        var homed = configuration
        homed.home = .path("/root")
        async let made = SSHFiles(in: directory, homed, address: "10.77.1.2")
        let machines = try await withThrowingTaskGroup(of: (String, ThrowawayMachine).self) { group in
            for name in names { group.addTask { (name, try await self.machine(named: name)) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        let files = try await made
        // Until it is in its own network, the controller's namespace is ours.
        let ours = ProcFile.link("/proc/self/ns/net")
        try await require("a network namespace", within: .seconds(10)) {
            ProcFile.link("/proc/\(controller.pid)/ns/net") != ours
        }
        let hosts = names.enumerated().map { index, name in
            TestNetwork.Host(
                name: name, alias: index == 0 ? files.hostAlias : "\(files.hostAlias)-\(name)",
                address: index == 0 ? "10.77.1.2" : "10.77.2.\(10 + index)", machine: machines[name]!,
                neighbour: index == 0 ? controller.pid : machines["bastion"]!.pid)
        }
        let network = TestNetwork(
            directory: directory, controller: controller, bastion: hosts[0], hidden: Array(hosts.dropFirst()))
        try await connect(network)
        try files.writeServerConfig(listenAddress: "0.0.0.0", port: 22)
        for host in hosts {
            let pidFile = ["-D", "-o", "PidFile=\(directory.path)/\(host.name).pid"]
            let server = try HelperProcess(host.machine.commandPrefix + files.serverCommand() + pidFile)
            helpers.withLock { $0.append(server) }
        }
        try await require("the start of sshd on every host", within: .seconds(30)) { [directory] in
            hosts.allSatisfy { FileManager.default.fileExists(atPath: "\(directory.path)/\($0.name).pid") }
        }
        try writeClientConfigs(files, network)
        return network
    }

    private func machine(named name: String) async throws -> ThrowawayMachine {
        let own = try TemporaryDirectory()
        directories.withLock { $0.append(own) }
        var configuration = ThrowawayMachine.Configuration()
        configuration.name = name
        let machine = try await ThrowawayMachine(configuration, in: own, keeping: directory.path)
        helpers.withLock { $0.append(machine.keeper) }
        return machine
    }

    /// Each side has its address on a bridge, and each cable is a port of it: with the port down, addresses and routes
    /// stay, so that neither side gets an error from its own kernel.
    private func connect(_ network: TestNetwork) async throws {
        let script = """
            set -e
            # A network: the process that has it, its address, and for each host its name, its process and its address.
            network() {
                home=$1 address=$2
                shift 2
                nsenter -t "$home" -n -- sh -ec "
                    ip link set lo up
                    ip link add lan type bridge forward_delay 0
                    ip addr add $address/24 dev lan
                    ip link set lan up"
                while [ $# -gt 0 ]; do
                    nsenter -t "$home" -n -- sh -ec "
                        ip link add '$1' type veth peer name eth0 netns $2
                        ip link set '$1' master lan up"
                    nsenter -t "$2" -n -- sh -ec "ip addr add $3/24 dev eth0; ip link set eth0 up"
                    shift 3
                done
            }
            \(line(network.controller.pid, "10.77.1.1", [network.bastion]))
            \(network.hidden.isEmpty ? "" : line(network.bastion.machine.pid, "10.77.2.1", network.hidden))
            """
        try await runTool(["sh", "-c", script])
    }

    private func line(_ process: Int32, _ address: String, _ hosts: [TestNetwork.Host]) -> String {
        let words = ["network", "\(process)", address]
        return (words + hosts.flatMap { [$0.name, "\($0.machine.pid)", $0.address] }).joined(separator: " ")
    }

    private func writeClientConfigs(_ files: SSHFiles, _ network: TestNetwork) throws {
        let hidden = network.hidden.map { ["Host \($0.alias)", "HostName \($0.address)"] }
        var inner = files
        inner.hostLines = hidden.flatMap { $0 }
        try inner.writeClientConfig(port: 22, pipeCommand: nil, named: "ssh_config.inner")
        var outer = files
        outer.hostLines = hidden.flatMap { $0 + ["ProxyJump \(files.hostAlias)", "ProxyUseFdpass no"] }
        let helper = try directory.write("connect.py", Self.connectScript)
        let proxy = TestNetwork.prefix(network.controller.pid) + ["python3", "-S", "-E", helper, "%h", "%p"]
        outer.routeLines = ["ProxyCommand \(proxy.joined(separator: " "))", "ProxyUseFdpass yes"]
        try outer.writeClientConfig(port: 22, pipeCommand: nil)
    }

    /// Connects and hands the socket to ssh on descriptor 1 (`ProxyUseFdpass`).
    private static let connectScript = """
        import array, socket, sys
        made = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        rights = array.array("i", [made.fileno()])
        socket.socket(fileno=1).sendmsg([b"\\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        """
}
