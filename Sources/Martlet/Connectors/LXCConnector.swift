/// A context in a container of LXC's own tools, by `lxc-attach`. Those of LXD and Incus: see ``IncusConnector``.
public struct LXCConnector: Connector {
    /// The container's name.
    public var container: String
    /// A number: lxc-attach knows no names. Default: root.
    public var userID: UInt32?
    /// Default: root's.
    public var groupID: UInt32?
    /// Variables to set. Of ours, none goes there.
    public var environment: [String: String] = [:]
    /// Where the containers are, as `lxc-attach -P`. Default: LXC's own place.
    public var path: String?
    /// Further options of lxc-attach.
    public var options: [String] = []
    /// The program. Default: `lxc-attach`, found in `PATH`.
    public var program = "lxc-attach"

    /// A way into `container`.
    public init(_ container: String) { self.container = container }

    /// `lxc:web`.
    public var label: String { "lxc:\(container)" }

    /// The `lxc-attach` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(container, "container")
        var arguments = [program]
        if let path { arguments += ["-P", path] }
        arguments += ["-n", container, "--clear-env"]
        if let userID { arguments += ["-u", "\(userID)"] }
        if let groupID { arguments += ["-g", "\(groupID)"] }
        var environment = environment
        // Without a home there is no place to keep the image.
        if userID == nil, environment["HOME"] == nil { environment["HOME"] = "/root" }
        for setting in try PlainName.settings(environment) { arguments += ["-v", setting] }
        return .shell(arguments + options + ["--"] + bootstrap.command)
    }

    /// LXC's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        Symptom.error(
            failure,
            [
                .noShell(["Failed to exec"], "the container \(container)"),
                Symptom(
                    ["You lack access", "Permission denied", "Operation not permitted"], .authenticationFailed,
                    "we may not enter the container \(container)",
                    "go in as its owner, or as root: sudo first, then lxc"),
                Symptom(
                    ["Failed to get init pid", "is not running", "No such container"], .unreachable,
                    "the container \(container) does not run, or there is none",
                    "see what there is: lxc-ls -f; start it: lxc-start \(container)"),
            ])
    }
}

extension LXCConnector {
    /// `lxc:web`.
    public static let kind = ConnectorKind(
        "lxc",
        "a container of LXC's, by lxc-attach",
        argument: .required("container"),
        options: [
            .number("uid", \.userID, "the user id there"),
            .number("gid", \.groupID, "the group id there"),
            .assignments("env", \.environment, "a variable to set"),
            .path("path", \.path, "where containers are, as lxc-attach -P"),
            .list("option", \.options, "an option of lxc-attach's"),
            .program("lxc-attach", \.program),
        ]
    ) { spec throws(SpecError) in
        LXCConnector(try spec.name("container"))
    } written: {
        $0.container
    }
}

extension Connector where Self == LXCConnector {
    /// A context in a container of LXC's own tools. See ``LXCConnector``.
    public static func lxc(_ container: String) -> LXCConnector { LXCConnector(container) }
}
