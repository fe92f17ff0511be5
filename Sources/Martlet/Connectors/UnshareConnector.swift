#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A context in a sandbox of its own on the same machine, by `unshare`: it sees no other process, has no network and a `/tmp` of
/// its own, and all that runs in it ends with it. The files are the machine's.
///
/// Any user may have one where the kernel lets them have user namespaces: it then has number 0 inside, and the user's own rights
/// outside.
public struct UnshareConnector: Connector {
    /// Whether it has the machine's network. Default: no.
    public var hasNetwork = false
    /// Whether it has the machine's `/tmp`. Default: no.
    public var hasSharedTemporaryDirectory = false
    /// How many bytes of data each of its processes may have (`RLIMIT_DATA`), the agent included, which takes some 50 MB of
    /// them. Default: no limit.
    public var memoryLimit: UInt64?
    /// Further options of unshare: `["--cgroup"]`.
    public var options: [String] = []
    /// The unshare program. Default: `unshare`, found in `PATH`.
    public var program = "unshare"

    /// A sandbox.
    public init() {}

    /// `unshare`.
    public var label: String { "unshare" }

    /// The `unshare` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        var arguments = [program]
        // This runs where the sandbox is made.
        if geteuid() != 0 { arguments.append("-r") }
        arguments += ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if !hasNetwork { arguments.append("--net") }
        var setup: [String] = []
        if !hasSharedTemporaryDirectory { setup.append("mount -t tmpfs -o mode=1777 martlet /tmp") }
        if let memoryLimit { setup.append("ulimit -d \(memoryLimit / 1024)") }
        return .shell(arguments + options + ["--"] + bootstrap.firstProcess(setup: setup))
    }

    /// unshare's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        Symptom.error(
            failure,
            [
                .noShell(["failed to execute"], "the sandbox"),
                Symptom(
                    ["Operation not permitted", "ermission denied", "No space left on device", "Invalid argument"],
                    .authenticationFailed, "the kernel does not let us make a sandbox",
                    "go in as root: sudo first, then unshare; or allow user namespaces: sysctl user.max_user_namespaces"
                ),
            ])
    }
}

extension UnshareConnector {
    /// `unshare?memory=512`.
    public static let kind = ConnectorKind(
        "unshare",
        "a sandbox of one's own: no network, an own /tmp, own processes",
        argument: .none,
        options: [
            .flag("network", \.hasNetwork, "with the network"),
            .flag("shared-tmp", \.hasSharedTemporaryDirectory, "with the same /tmp"),
            .init(.init("memory", .number(1...1_000_000_000), "how much memory each process may have, in MiB")) {
                $1.memoryLimit = $0.number("memory").map { UInt64($0) << 20 }
            } write: {
                $1.add("memory", $0.memoryLimit.map { "\(max(1, $0 >> 20))" })
            },
            .list("option", \.options, "an option of unshare's"),
            .program("unshare", \.program),
        ],
        staysOnMachine: true
    ) { _ in
        UnshareConnector()
    }
}

extension Connector where Self == UnshareConnector {
    /// A context in a sandbox of its own. See ``UnshareConnector``.
    public static var unshare: UnshareConnector { UnshareConnector() }

    /// A context in a sandbox of its own.
    ///
    /// - Parameters:
    ///   - hasNetwork: it has the machine's network.
    ///   - memoryLimit: how many bytes of data each of its processes may have.
    public static func unshare(hasNetwork: Bool = false, memoryLimit: UInt64? = nil) -> UnshareConnector {
        var connector = UnshareConnector()
        connector.hasNetwork = hasNetwork
        connector.memoryLimit = memoryLimit
        return connector
    }
}
