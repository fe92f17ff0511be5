import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// As in the documentation.
struct Toolbox: Connector {
    var container: String
    var label: String { "toolbox:\(container)" }
    func launch(_ bootstrap: Bootstrap) -> Launch {
        .shell(["toolbox", "run", "-c", container] + bootstrap.command)
    }
}

/// Ways in that no program here leads to: the command lines are recorded, not run. A stand-in executes what the real program
/// would execute over there.
@Suite(.leakChecked) struct RecordedCommandTests {
    /// Runs what stands behind the dashes.
    private static let behindDashes = "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\""

    /// Connects, and compares the words before the bootstrap.
    private func expect(
        _ program: String, _ script: String, _ connector: some Connector, label: String, words: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await withFakePrograms { root, folder in
            let fake = try FakeProgram(program, in: folder, script)
            let context = try await root.connect(connector)
            #expect(try await context.call(Add(a: 1, b: 2)) == 3, sourceLocation: sourceLocation)
            #expect(context.route.steps.last == label, sourceLocation: sourceLocation)
            #expect(Array(fake.words.dropLast()) == words, sourceLocation: sourceLocation)
            #expect(fake.words.last?.contains("MARTLET_AGENT=") == true, sourceLocation: sourceLocation)
        }
    }

    @Test func `kubectl, plainly and with all that can be said`() async throws {
        let plain = ["exec", "-i", "web", "--", "sh", "-c"]
        try await expect("kubectl", Self.behindDashes, .kubectl("web"), label: "kubectl:web", words: plain)
        var connector = KubectlConnector("deployment/web", namespace: "shop", container: "nginx")
        connector.context = "east"
        connector.configuration = "/etc/kube/config"
        connector.options = ["--as=admin"]
        try await expect(
            "kubectl", Self.behindDashes, connector, label: "kubectl:shop/deployment/web/nginx",
            words: ["--kubeconfig", "/etc/kube/config", "--context", "east", "-n", "shop", "--as=admin"]
                + ["exec", "-i", "-c", "nginx", "deployment/web", "--", "sh", "-c"])
    }

    @Test func `incus, plainly and with all that can be said`() async throws {
        try await expect(
            "incus", Self.behindDashes, .incus("web"), label: "incus:web",
            words: ["exec", "-T", "web", "--", "sh", "-c"])
        var connector = IncusConnector("far:web")
        connector.project = "shop"
        connector.userID = 1000
        connector.groupID = 100
        connector.directory = "/srv"
        connector.environment = ["B": "c d", "A": "b"]
        try await expect(
            "incus", Self.behindDashes, connector, label: "incus:far:web",
            words: ["--project", "shop", "exec", "-T", "far:web", "--user", "1000", "--group", "100", "--cwd", "/srv"]
                + ["--env", "A=b", "--env", "B=c d", "--", "sh", "-c"])
    }

    @Test func `jexec, plainly and with all that can be said`() async throws {
        try await expect(
            "jexec", "shift; exec \"$@\"", .jail("web"), label: "jexec:web", words: ["web", "sh", "-c"])
        var connector = JailConnector("7", user: "www")
        connector.isLogin = true
        try await expect(
            "jexec", "shift 4; exec \"$@\"", connector, label: "jexec:www@7",
            words: ["-l", "-U", "www", "7", "sh", "-c"])
    }

    @Test func `vagrant, plainly and with all that can be said`() async throws {
        // ssh hands its last word to the login shell.
        let script = "for word in \"$@\"; do :; done; exec /bin/sh -c \"$word\""
        try await expect("vagrant", script, .vagrant(), label: "vagrant", words: ["ssh", "--", "-T", "-e", "none"])
        try await withFakePrograms { root, folder in
            let fake = try FakeProgram("vagrant", in: folder, script)
            var connector = VagrantConnector("web", directory: "/usr")
            connector.options = ["-o", "ServerAliveInterval=5"]
            let context = try await root.connect(connector)
            #expect(context.route.steps.last == "vagrant:web")
            #expect(fake.directory == "/usr")
            #expect(
                fake.words.dropLast()
                    == ["ssh", "web", "--", "-T", "-e", "none", "-o", "ServerAliveInterval=5"])
        }
    }

    @Test func `A connector of one's own is a few lines`() async throws {
        try await expect(
            "toolbox", "shift 3; exec \"$@\"", Toolbox(container: "dev"), label: "toolbox:dev",
            words: ["run", "-c", "dev", "sh", "-c"])
    }

    // MARK: What they say when they refuse

    /// Words that the real programs have printed, with what they mean.
    @Test(arguments: [
        ("kubectl", "Error from server (NotFound): pods \"web\" not found", 1, "unreachable", "there is no pod web"),
        (
            "kubectl", "Error from server (NotFound): namespaces \"shop\" not found", 1, "unreachable",
            "there is no pod web"
        ),
        (
            "kubectl",
            "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?", 1,
            "unreachable", "the cluster does not answer"
        ),
        ("kubectl", "error: context \"east\" does not exist", 1, "connectorFailed", "no such context"),
        (
            "kubectl", "Error from server (Forbidden): pods \"web\" is forbidden: User \"joe\" cannot create resource",
            1,
            "authenticationFailed", "does not let us run programs"
        ),
        (
            "kubectl", "error: You must be logged in to the server (Unauthorized)", 1, "authenticationFailed",
            "does not let us"
        ),
        (
            "kubectl", "error: cannot exec into a container in a completed pod; current phase is Succeeded", 1,
            "unreachable",
            "the pod web does not run"
        ),
        (
            "kubectl", "error: unable to upgrade connection: container not found (\"c\")", 1, "unreachable",
            "has no container"
        ),
        (
            "kubectl",
            "OCI runtime exec failed: exec failed: container_linux.go:380: exec: \"sh\": executable file not found in $PATH: unknown",
            126, "noShell", "there is no sh in the pod web"
        ),
        ("jexec", "jexec: jail \"web\" not found", 1, "unreachable", "there is no jail web"),
        (
            "jexec", "jexec: jail_attach(7): Operation not permitted", 1, "authenticationFailed",
            "we may not enter the jail web"
        ),
        ("jexec", "jexec: execvp: sh: No such file or directory", 1, "noShell", "there is no sh in the jail web"),
        (
            "vagrant", "A Vagrant environment or target machine is required to run this command.", 1, "connectorFailed",
            "there is no Vagrantfile"
        ),
        (
            "vagrant", "The machine with the name 'web' was not found configured for this Vagrant environment.", 1,
            "unreachable", "vagrant has no machine web"
        ),
        (
            "vagrant", "VM must be running to open SSH connection. Run `vagrant up`", 1, "unreachable",
            "web does not run"
        ),
        (
            "vagrant", "ssh: connect to host 127.0.0.1 port 2222: Connection refused", 255, "unreachable",
            "web refused the connection"
        ),
        ("incus", "Error: Instance not found", 1, "unreachable", "there is no instance web"),
        ("incus", "Error: Instance is not running", 1, "unreachable", "the instance web does not run"),
        ("incus", "Error: Command not found", 127, "noShell", "there is no sh in the instance web"),
    ])
    func `Their words are understood`(
        program: String, words: String, exitCode: Int, code: String, message: String
    ) async throws {
        try await withFakePrograms { root, folder in
            _ = try FakeProgram(program, in: folder, "cat >&2 <<'END'\n\(words)\nEND\nexit \(exitCode)")
            let error = try await expectError(MartletError.Code(rawValue: code)) {
                switch program {
                case "kubectl": try await root.connect(.kubectl("web"))
                case "jexec": try await root.connect(.jail("web"))
                case "vagrant": try await root.connect(.vagrant("web"))
                default: try await root.connect(.incus("web"))
                }
            }
            #expect(error.message.contains(message), "\(error)")
            #expect(error.detail?.contains(words) == true, "\(error)")
        }
    }

    @Test func `What could be taken for an option is refused before anything is started`() async throws {
        try await withFakePrograms { root, _ in
            for name in ["", "-x", "--help", "a\nb", "a\u{0}b"] {
                try await expectError(.misuse) { try await root.connect(.kubectl(name)) }
                try await expectError(.misuse) { try await root.connect(.kubectl("web", namespace: name)) }
                try await expectError(.misuse) { try await root.connect(.kubectl("web", container: name)) }
                try await expectError(.misuse) { try await root.connect(.incus(name)) }
                try await expectError(.misuse) { try await root.connect(.jail(name)) }
                try await expectError(.misuse) { try await root.connect(.vagrant(name)) }
                try await expectError(.misuse) { try await root.connect(.docker("web", user: name)) }
                try await expectError(.misuse) { try await root.connect(.nsenter(leaderOf: name, in: .docker)) }
            }
        }
    }

    @Test func `A program that is not there`() async throws {
        try await withMartlet { martlet in
            let error = try await expectError(.connectorFailed) {
                try await martlet.connect(ContainerConnector("web", program: "no-such-docker"))
            }
            #expect(error.advice == "install no-such-docker on this side")
        }
    }

    @Test func `One door leads to all that one daemon has`() {
        var far = ContainerConnector("a")
        far.programOptions = ["--host", "tcp://far"]
        #expect(ContainerConnector("a").door == ContainerConnector("b", isFresh: true).door)
        #expect(far.door != ContainerConnector("a").door)
        #expect(ContainerConnector("a", program: "podman").door != ContainerConnector("a").door)
        #expect(KubectlConnector("a", namespace: "x").door == KubectlConnector("b").door)
        #expect(IncusConnector("a").door == IncusConnector("b").door)
        #expect(IncusConnector("far:a").door != IncusConnector("a").door)
        #expect(VagrantConnector("a").door == VagrantConnector("b").door)
    }

    @Test(.enabled("needs kubectl") { try await runProgram(["sh", "-c", "command -v kubectl"]).exitCode == 0 })
    func `kubectl itself, without a cluster`() async throws {
        try await TestFolder.with { folder in
            let path = folder.file("config")
            try """
            apiVersion: v1
            kind: Config
            clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
            users: [{name: me, user: {token: none}}]
            contexts: [{name: none, context: {cluster: none, user: me}}]
            current-context: none
            """.write(toFile: path, atomically: true, encoding: .utf8)
            var connector = KubectlConnector("web")
            connector.configuration = path
            try await withMartlet { [connector] martlet in
                let closed = try await expectError(.unreachable) { try await martlet.connect(connector) }
                #expect(closed.message == "the cluster does not answer", "\(closed)")
                #expect(closed.detail?.contains("127.0.0.1:1") == true)
                var other = connector
                other.context = "east"
                let error = try await expectError(.connectorFailed) { [other] in try await martlet.connect(other) }
                #expect(error.message == "kubectl's configuration has no such context")
            }
        }
    }
}
