import Foundation

/// A controller, a bastion and hidden hosts behind it, each a machine of its own, on networks that can be cut and slowed.
///
/// ```text
/// controller 10.77.1.1 ── 10.77.1.2 bastion 10.77.2.1 ──┬── 10.77.2.11 hidden-1
///                                                       └── 10.77.2.12 hidden-2 …
/// ```
/// From the controller there is no way to the hidden hosts but through the bastion: by `ProxyJump`, which
/// ``configPath`` has, or by a context on the bastion and ``innerConfigPath``. The controller's end is a network
/// namespace too, so that cutting disturbs nothing else. `ssh` runs outside of it, in the test's own process tree, but
/// its connection is made inside, by a helper that hands the socket over.
public struct TestNetwork: Sendable {
    /// One of the far machines, with an sshd.
    public struct Host: Sendable {
        /// Its host name, and that of its cable: `bastion`, `hidden-1`…
        public let name: String
        /// The name to connect to, in both configurations.
        public let alias: String
        /// Its address.
        public let address: String
        /// The machine.
        public let machine: ThrowawayMachine
        /// A process in the network that has the other end of its cable.
        let neighbour: Int32
    }

    let directory: TemporaryDirectory
    let controller: HelperProcess

    /// The one machine that the controller reaches.
    public let bastion: Host
    /// The machines that the bastion reaches.
    public let hidden: [Host]

    /// The controller's configuration, for `ssh -F`. It has a `ProxyJump` for hidden hosts.
    public var configPath: String { "\(directory.path)/ssh_config" }

    /// The bastion's configuration for `ssh -F`, readable there and on all hosts under this very path.
    public var innerConfigPath: String { "\(directory.path)/ssh_config.inner" }

    /// The beginning of a command line that runs the rest of it in the controller's network.
    public var controllerPrefix: [String] { Self.prefix(controller.pid) }

    /// Cuts a host off: packets vanish in both directions, and neither side hears of it.
    public func cut(_ host: Host) async throws { try await set(host, "down") }

    /// Mends what ``cut(_:)`` did.
    public func heal(_ host: Host) async throws { try await set(host, "up") }

    /// Limits what a host's cable carries in each direction, in kilobits per second.
    public func slow(_ host: Host, to rate: Int) async throws {
        for (process, device) in [(host.neighbour, host.name), (host.machine.pid, "eth0")] {
            try await runTool(
                Self.prefix(process) + ["tc", "qdisc", "replace", "dev", device, "root"]
                    + ["tbf", "rate", "\(rate)kbit", "burst", "32k", "latency", "400ms"])
        }
    }

    /// Ends a host at once, as a power cut does, but with the network still up: its peers see a reset. Cut it off first
    /// for a silent end.
    public func crash(_ host: Host) async { await host.machine.crash() }

    /// How many bytes have gone to a host over its cable so far, headers of all layers included.
    public func bytesSent(to host: Host) throws -> Int {
        let devices = ProcFile.text("/proc/\(host.neighbour)/net/dev") ?? ""
        for line in devices.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "\(host.name):", words.count > 9, let bytes = Int(words[9]) { return bytes }
        }
        throw TestKitError(code: .failed, message: "no device \(host.name) in: \(devices)")
    }

    private func set(_ host: Host, _ state: String) async throws {
        try await runTool(Self.prefix(host.neighbour) + ["ip", "link", "set", host.name, state])
    }

    static func prefix(_ process: Int32) -> [String] { ["nsenter", "-t", "\(process)", "-n", "--"] }
}

/// Makes a controller, a bastion and hidden hosts, runs `body`, and ends all of it. Root only. Ready in about a second.
///
/// - Parameters:
///   - hiddenHosts: How many hosts are behind the bastion, up to 200. Default none.
///   - configuration: What the servers are like. A login shell and a home of their own are not
///     supported here.
///   - body: What to do with it.
/// - Throws: What `body` throws; ``TestKitError`` with code `unavailable` unless this is root with `ip` and `python3`,
///   `failed` with what the tools printed.
public func withTestNetwork<Result>(
    hiddenHosts: Int = 0,
    _ configuration: ThrowawaySSHD.Configuration = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (TestNetwork) async throws -> Result
) async throws -> Result {
    let builder = try TestNetworkBuilder()
    do {
        let result = try await body(try await builder.build(hiddenHosts: hiddenHosts, configuration))
        await builder.end()
        return result
    } catch {
        await builder.end()
        throw error
    }
}
