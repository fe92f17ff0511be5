public import Martlet

/// How a group connects its members. All of it has defaults.
public struct GroupOptions: Sendable {
    /// How each connect is made.
    public var connect = ConnectOptions()
    /// Answers what the ways in ask. Default: ``MartletOptions/prompts``.
    public var prompts: (any PromptResponder)?
    /// What the specs may name. Default: ``ConnectorKind/all``.
    public var kinds = ConnectorKind.all
    /// Members that do not say it themselves are reached through one of these; see ``MemberSpec/gateways``. What is copied to
    /// many crosses the way to a gateway once. Default: none.
    public var gateways: [MemberSpec] = []

    /// The defaults.
    public init() {}
}
