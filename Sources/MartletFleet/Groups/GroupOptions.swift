public import Martlet

/// How a group connects its members. All of it has defaults.
public struct GroupOptions: Sendable {
    /// How each connect is made.
    public var connect = ConnectOptions()
    /// Answers what the ways in ask. Default: ``MartletOptions/prompts``.
    public var prompts: (any PromptResponder)?
    /// What the specs may name. Default: ``ConnectorKind/all``.
    public var kinds = ConnectorKind.all

    /// The defaults.
    public init() {}
}
