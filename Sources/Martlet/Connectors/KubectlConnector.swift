/// A context in a container of a Kubernetes pod, by `kubectl exec`.
public struct KubectlConnector: Connector {
    /// The pod, or what kubectl finds one by: `deployment/web`.
    public var pod: String
    /// Default: what the configuration says.
    public var namespace: String?
    /// Default: the pod's first.
    public var container: String?
    /// A context of kubectl's configuration. Default: its current one.
    public var context: String?
    /// A configuration file. Default: kubectl's own, `KUBECONFIG` included.
    public var configuration: String?
    /// Further options of kubectl: `["--as=admin"]`.
    public var options: [String] = []
    /// The kubectl program. Default: `kubectl`, found in `PATH`.
    public var program = "kubectl"

    /// A way into `pod`.
    public init(_ pod: String, namespace: String? = nil, container: String? = nil) {
        self.pod = pod
        self.namespace = namespace
        self.container = container
    }

    /// `kubectl:web`, `kubectl:shop/web/nginx`, as far as given.
    public var label: String {
        "kubectl:" + (namespace.map { "\($0)/" } ?? "") + pod + (container.map { "/\($0)" } ?? "")
    }

    /// One for each cluster.
    public var door: String { [program, configuration ?? "", context ?? ""].joined(separator: " ") }

    /// The `exec` command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(pod, "pod")
        for (name, what) in [(namespace, "namespace"), (container, "container"), (context, "context")] {
            try PlainName.check(name, what)
        }
        var arguments = [program]
        if let configuration { arguments += ["--kubeconfig", configuration] }
        if let context { arguments += ["--context", context] }
        if let namespace { arguments += ["-n", namespace] }
        arguments += options + ["exec", "-i"]
        if let container { arguments += ["-c", container] }
        return .shell(arguments + [pod, "--"] + bootstrap.command)
    }

    /// Which container it took, and that the command has ended.
    public func isNoise(_ line: String) -> Bool {
        line.hasPrefix("Defaulted container ") || line.hasPrefix("command terminated with exit code")
    }

    /// kubectl's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        Symptom.error(
            failure,
            [
                Symptom(
                    ["must be logged in", "Unauthorized", "is forbidden", "(Forbidden)"], .authenticationFailed,
                    "the cluster does not let us run programs in \(pod)",
                    "see what is allowed: kubectl auth can-i create pods/exec"),
                Symptom(
                    [
                        "was refused - did you specify", "Unable to connect to the server", "i/o timeout",
                        "connection refused", "no configuration has been provided",
                    ],
                    .unreachable, "the cluster does not answer",
                    "is it the right one? See: kubectl config get-contexts, kubectl cluster-info"),
                Symptom(
                    ["does not exist", "no context exists", "context was not found"], .connectorFailed,
                    "kubectl's configuration has no such context",
                    "see what there is: kubectl config get-contexts"),
                .noShell(["executable file not found", "no such file or directory: unknown"], "the pod \(pod)"),
                Symptom(
                    ["container not found", "is not valid for pod"], .unreachable,
                    "the pod \(pod) has no container \(container ?? "that runs")",
                    "see what there is: kubectl describe pod \(pod)"),
                Symptom(
                    ["(NotFound)", "not found"], .unreachable, "there is no pod \(pod) in that namespace",
                    "see what there is: kubectl get pods -A"),
                Symptom(
                    ["completed pod", "not have a host assigned", "is not running"], .unreachable,
                    "the pod \(pod) does not run", "see why: kubectl describe pod \(pod)"),
            ])
    }
}

extension KubectlConnector {
    /// `kubectl:web?namespace=shop&container=nginx`.
    public static let kind = ConnectorKind(
        "kubectl",
        "a container of a Kubernetes pod",
        argument: .required("pod"),
        options: [
            .text("namespace", \.namespace, "the pod's namespace"),
            .text("container", \.container, "which of the pod's"),
            .text("context", \.context, "the context of the configuration"),
            .path("config", \.configuration, "another configuration, as --kubeconfig"),
            .list("option", \.options, "an option of kubectl's"),
            .program("kubectl", \.program),
        ]
    ) { spec throws(SpecError) in
        KubectlConnector(try spec.name("pod"))
    } written: {
        $0.pod
    }
}

extension Connector where Self == KubectlConnector {
    /// A context in a container of a Kubernetes pod. See ``KubectlConnector``.
    public static func kubectl(
        _ pod: String, namespace: String? = nil, container: String? = nil
    ) -> KubectlConnector {
        KubectlConnector(pod, namespace: namespace, container: container)
    }
}
