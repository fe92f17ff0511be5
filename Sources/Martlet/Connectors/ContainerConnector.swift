/// A context in a container of docker or podman: in one that runs, or in a fresh one that is made from an image and removed
/// when the context ends, however it ends.
///
///     .docker("web")
///     .podman(image: "debian:12", options: ["--network=none", "--memory=512m"])
public struct ContainerConnector: Connector {
    /// The name or id of a container that runs; an image's name if ``isFresh``.
    public var name: String
    /// Makes a container of the image `name`, and removes it at the end.
    public var isFresh: Bool
    /// A name or number, `user:group` as well. Default: the container's own.
    public var user: String?
    /// Default: the container's own.
    public var directory: String?
    /// Variables to set; everybody there can see them in the command line.
    public var environment: [String: String] = [:]
    /// Further options of `exec`, or of `run` if ``isFresh``: `["--network=none"]`.
    public var options: [String] = []
    /// Options of the program itself: `["--context", "build"]`, `["--host", "tcp://box:2376"]`.
    public var programOptions: [String] = []
    /// The program: `docker` or `podman`, or a path to one of them.
    public var program: String

    /// A way into the container `name`, or into a new one of the image `name`.
    public init(_ name: String, isFresh: Bool = false, program: String = "docker") {
        self.name = name
        self.isFresh = isFresh
        self.program = program
    }

    private var programName: String { String(program.split(separator: "/").last ?? "docker") }

    /// `docker:web`, `docker:root@web`, `docker-run:debian:12`.
    public var label: String { "\(programName)\(isFresh ? "-run" : ""):" + PlainName.joined(user, name) }

    /// One for each daemon.
    public var door: String { ([program] + programOptions).joined(separator: " ") }

    /// The `exec` or `run` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(name, isFresh ? "image" : "container")
        try PlainName.check(user, "user")
        // With its input attached, a fresh container ends with the agent, which ends with its input: also if all that is
        // on this side is killed.
        var arguments = [program] + programOptions + (isFresh ? ["run", "--rm", "-i"] : ["exec", "-i"])
        if let user { arguments += ["-u", user] }
        if let directory { arguments += ["-w", directory] }
        for setting in try PlainName.settings(environment) { arguments += ["-e", setting] }
        arguments += options
        guard isFresh else { return .shell(arguments + [name] + bootstrap.command) }
        // The image's own entry point does not matter.
        let first = bootstrap.firstProcess()
        return .shell(arguments + ["--entrypoint", first[0], name] + first.dropFirst())
    }

    /// docker's and podman's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        let program = programName
        let place = "the \(isFresh ? "image" : "container") \(name)"
        return Symptom.error(
            failure,
            [
                Symptom(
                    ["permission denied while trying to connect", "permission denied: connect"], .authenticationFailed,
                    "we may not speak to the daemon of \(program)",
                    "join its group (docker), or go in as root: sudo first, then \(program)"),
                Symptom(
                    [
                        "Cannot connect to the Docker daemon", "Cannot connect to Podman",
                        "unable to connect to Podman",
                        "error during connect",
                    ],
                    .unreachable, "the daemon of \(program) does not answer",
                    "does it run, and is it where \(program) looks for it (DOCKER_HOST, contexts)? See: \(program) version"
                ),
                Symptom(
                    ["No such container", "no such container"], .unreachable, "there is no container \(name)",
                    "see what there is: \(program) ps -a"),
                Symptom(
                    ["is paused"], .unreachable, "the container \(name) is paused",
                    "let it go on: \(program) unpause \(name)"),
                Symptom(
                    ["is not running", "on running containers", "container state improper"], .unreachable,
                    "the container \(name) does not run", "start it: \(program) start \(name)"),
                Symptom(
                    [
                        "No such image", "image not known", "did not resolve to an alias", "pull access denied",
                        "Unable to find image", "manifest unknown", "initializing source",
                    ],
                    .unreachable, "there is no image \(name), and it could not be fetched",
                    "fetch it by hand to see why: \(program) pull \(name)"),
                Symptom(
                    ["unable to find user", "no matching entries in passwd"], .connectorFailed,
                    "there is no user \(user ?? "") in \(place)"),
                Symptom(
                    ["chdir to cwd", "workdir"], .connectorFailed,
                    "there is no directory \(directory ?? "") in \(place)"),
                .noShell(
                    ["executable file not found", "no such file or directory: unknown", "OCI runtime attempted"], place),
            ])
    }
}

extension Connector where Self == ContainerConnector {
    /// A context in a running container of docker's. See ``ContainerConnector``.
    public static func docker(_ container: String, user: String? = nil) -> ContainerConnector {
        running(container, user, "docker")
    }

    /// A context in a new container of docker's, which is removed when the context ends.
    ///
    /// - Parameter options: of `docker run`.
    public static func docker(image: String, user: String? = nil, options: [String] = []) -> ContainerConnector {
        fresh(image, user, options, "docker")
    }

    /// A context in a running container of podman's. See ``ContainerConnector``.
    public static func podman(_ container: String, user: String? = nil) -> ContainerConnector {
        running(container, user, "podman")
    }

    /// A context in a new container of podman's, which is removed when the context ends.
    ///
    /// - Parameter options: of `podman run`.
    public static func podman(image: String, user: String? = nil, options: [String] = []) -> ContainerConnector {
        fresh(image, user, options, "podman")
    }

    private static func running(_ name: String, _ user: String?, _ program: String) -> ContainerConnector {
        var connector = ContainerConnector(name, program: program)
        connector.user = user
        return connector
    }

    private static func fresh(
        _ name: String, _ user: String?, _ options: [String], _ program: String
    ) -> ContainerConnector {
        var connector = ContainerConnector(name, isFresh: true, program: program)
        connector.user = user
        connector.options = options
        return connector
    }
}
