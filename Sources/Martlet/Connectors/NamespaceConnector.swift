/// A context in the namespaces of a process, by `nsenter`: of any process, or of a container's first one. Needs no more of
/// the container's manager than that number, and no `exec` rights there; it needs root, or the same user namespace.
public struct NamespaceConnector: Connector {
    /// Kinds of namespaces.
    public enum Namespace: String, Sendable, Codable, CaseIterable {
        /// What is mounted where.
        case mount
        /// Host name.
        case uts
        /// Shared memory and semaphores.
        case ipc
        /// The network.
        case net
        /// Process numbers.
        case pid
        /// User and group numbers.
        case user
        /// Control groups.
        case cgroup
        /// Clocks.
        case time
    }

    /// Who knows the first process of a container.
    public enum Manager: String, Sendable, Codable, CaseIterable {
        /// `docker inspect`.
        case docker
        /// `podman inspect`.
        case podman
        /// `lxc-info`.
        case lxc
        /// `lxc info`.
        case lxd
        /// `incus info`.
        case incus
        /// `machinectl show`.
        case machine

        /// Shell words that print the number of the leader of `$1`.
        fileprivate var lookup: String {
            switch self {
            case .docker, .podman: "\(rawValue) inspect -f {{.State.Pid}} -- \"$1\""
            case .lxc: "lxc-info -n \"$1\" -pH"
            case .lxd: "lxc info \"$1\"|sed -n \"s/^P[iI][dD]: //p\""
            case .incus: "incus info \"$1\"|sed -n \"s/^P[iI][dD]: //p\""
            case .machine: "machinectl show -p Leader --value -- \"$1\""
            }
        }
    }

    /// A process's number; `nil`: that of ``container``'s leader.
    public var pid: Int32?
    /// A container's name.
    public var container: String?
    /// Who knows the container.
    public var manager: Manager?
    /// Which namespaces to enter. Default: all in which the process differs from us.
    public var namespaces: Set<Namespace>?
    /// Default: ours; in another user namespace root's.
    public var userID: UInt32?
    /// Default: as for ``userID``.
    public var groupID: UInt32?
    /// Variables to set; the others are ours.
    public var environment: [String: String] = [:]
    /// The nsenter program. Default: `nsenter`, found in `PATH`.
    public var program = "nsenter"

    /// The namespaces of a process.
    public init(pid: Int32) { self.pid = pid }

    /// The namespaces of a container's leader.
    public init(leaderOf container: String, in manager: Manager) {
        self.container = container
        self.manager = manager
    }

    /// `nsenter:4711`, `nsenter:docker:web`.
    public var label: String {
        if let container, let manager { return "nsenter:\(manager.rawValue):\(container)" }
        return "nsenter:\(pid ?? 0)"
    }

    /// The `nsenter` command; for a container a shell that looks the process up first.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        var arguments = namespaces.map { $0.map { "--\($0.rawValue)" }.sorted() } ?? ["--all"]
        if let userID { arguments += ["-S", "\(userID)"] }
        if let groupID { arguments += ["-G", "\(groupID)"] }
        arguments += ["--"] + bootstrap.command
        _ = try PlainName.settings(environment)
        var local = LocalOptions()
        local.environment = environment
        if let pid {
            guard pid > 0 else { throw MartletError(.misuse, "\(pid) is not the number of a process") }
            return .shell([program, "-t", "\(pid)"] + arguments, options: local)
        }
        guard let container, let manager else {
            throw MartletError(.misuse, "neither a process nor a container is named")
        }
        try PlainName.check(container, "container")
        let script =
            "p=$(\(manager.lookup))||exit;case $p in \"\"|0|*[!0-9]*)echo \"\(Self.noLeader)\" >&2;exit 1;;esac;"
            + "shift;n=$1;shift;exec \"$n\" -t \"$p\" \"$@\""
        return .shell(["sh", "-c", script, "martlet", container, program] + arguments, options: local)
    }

    private static let noLeader = "martlet: no leader"

    /// The words of nsenter and of who was asked for the leader, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        let place = container.map { "the container \($0)" } ?? "the namespaces of process \(pid ?? 0)"
        return Symptom.error(
            failure,
            [
                .noShell(["failed to execute"], place),
                Symptom(
                    ["Permission denied", "permission denied", "Operation not permitted", "Access denied"],
                    .authenticationFailed, "we may not enter \(place)", "go in as root: sudo first, then nsenter"),
                Symptom(
                    [Self.noLeader, "doesn't exist", "No such", "no such", "not found", "No machine"], .unreachable,
                    container == nil ? "there is no process \(pid ?? 0)" : "\(place) does not run, or there is none"),
                Symptom(
                    ["Cannot connect", "Failed to connect", "unix.socket"], .unreachable,
                    "\(manager?.rawValue ?? "") does not answer"),
            ])
    }
}

extension Connector where Self == NamespaceConnector {
    /// A context in the namespaces of a process. See ``NamespaceConnector``.
    public static func nsenter(pid: Int32) -> NamespaceConnector { NamespaceConnector(pid: pid) }

    /// A context in the namespaces of a container's first process. See ``NamespaceConnector``.
    public static func nsenter(
        leaderOf container: String, in manager: NamespaceConnector.Manager
    ) -> NamespaceConnector {
        NamespaceConnector(leaderOf: container, in: manager)
    }
}
