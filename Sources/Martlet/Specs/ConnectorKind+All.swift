extension ConnectorKind {
    /// Every way in that Martlet brings. A new connector declares its kind beside itself, and has its entry here.
    public static let all: [ConnectorKind] = [
        LocalConnector.kind, SSHConnector.kind, SudoConnector.kind, SuConnector.kind, DoasConnector.kind,
        ContainerConnector.docker, ContainerConnector.dockerRun, ContainerConnector.podman,
        ContainerConnector.podmanRun, KubectlConnector.kind, LXCConnector.kind, IncusConnector.incus,
        IncusConnector.lxd, MachineConnector.kind, NspawnConnector.kind, JailConnector.kind, VagrantConnector.kind,
        NamespaceConnector.kind, ChrootConnector.kind, UnshareConnector.kind, UnixSocketConnector.kind,
    ]
}
