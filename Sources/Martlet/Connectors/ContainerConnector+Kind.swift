extension ContainerConnector {
    /// `docker:root@web?dir=/srv`.
    public static let docker = kind("docker", isFresh: false)
    /// `podman:web`.
    public static let podman = kind("podman", isFresh: false)
    /// `docker-run:debian:12`.
    public static let dockerRun = kind("docker", isFresh: true)
    /// `podman-run:debian:12`.
    public static let podmanRun = kind("podman", isFresh: true)

    private static func kind(_ program: String, isFresh: Bool) -> ConnectorKind {
        let (command, what) = isFresh ? ("run", "image") : ("exec", "container")
        return ConnectorKind(
            isFresh ? "\(program)-run" : program,
            isFresh
                ? "a fresh container of \(program)'s, removed at the end" : "a container of \(program)'s that runs",
            argument: .required("[user@]\(what)"),
            options: [
                .path("dir", \.directory, "the directory to start in"),
                .assignments("env", \.environment, "a variable to set"),
                .list("option", \.options, "an option of \(command)'s"),
                .list("global", \.programOptions, "an option before \(command)"),
                .program(program, \.program, "the program"),
            ],
            describes: { $0.isFresh == isFresh && $0.isOf(program) }
        ) { spec throws(SpecError) in
            let (user, name) = try spec.userAndName(what)
            var connector = ContainerConnector(name, isFresh: isFresh, program: program)
            connector.user = user
            return connector
        } written: {
            PlainName.joined($0.user, $0.name)
        }
    }

    /// Whether its program is this one, as far as its name tells; else it is docker's.
    private func isOf(_ program: String) -> Bool {
        let isPodman = self.program.split(separator: "/").last == "podman"
        return isPodman == (program == "podman")
    }
}
