extension ConnectorKind {
    /// Every way in that Martlet brings. A new connector declares its kind beside itself, and has its entry here.
    public static let all: [ConnectorKind] = [
        LocalConnector.kind, SSHConnector.kind, SudoConnector.kind, SuConnector.kind, DoasConnector.kind,
        UnixSocketConnector.kind,
    ]
}
