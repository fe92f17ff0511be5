public import Martlet

/// Which contexts the host names mean that a tool gives to its `ssh`.
public struct SSHHosts: Sendable {
    private enum Meaning: Sendable {
        case any(Context)
        case named([String: Context])
    }

    private let meaning: Meaning

    /// Every name means this context: what a tool calls it is its own matter.
    public static func any(_ context: Context) -> SSHHosts { SSHHosts(meaning: .any(context)) }

    /// Each name means its context, and any other is unknown. At least one; all of them of one controller.
    public static func named(_ contexts: [String: Context]) -> SSHHosts {
        precondition(!contexts.isEmpty, "SSHHosts.named: no context at all")
        return SSHHosts(meaning: .named(contexts))
    }

    func context(_ host: String) -> Context? {
        switch meaning {
        case .any(let context): context
        case .named(let contexts): contexts[host]
        }
    }

    /// Where they are connected from.
    var runtime: ContextRuntime {
        switch meaning {
        case .any(let context): context.runtime
        case .named(let contexts): contexts.first!.value.runtime
        }
    }
}
