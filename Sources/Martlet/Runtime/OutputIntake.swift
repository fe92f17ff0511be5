import MartletLink
import MartletWire

/// Hands the lines that contexts print to ``MartletOptions/onOutput``.
enum OutputIntake {
    /// What waits of one child, in bytes: the windows of 256 contexts below it, all of which wait for the handler.
    static let limit = 64 * 1024 * 1024

    static func make(_ onOutput: @escaping @Sendable (ContextOutput) -> Void) -> MessageIntake {
        MessageIntake(limit: limit) { runtime, opener, message in
            // A context speaks for itself and for those below it.
            guard let (pipe, address, line) = OutputForwarder.parse(message),
                opener.map({ $0 == address || $0.isAncestor(of: address) }) ?? true
            else { return }
            onOutput(ContextOutput(address: address, route: runtime.route(to: address), pipe: pipe, bytes: line))
        } note: { runtime, child, dropped in
            guard let address = runtime.node.address.child(child) else { return }
            let text = "martlet: dropped \(dropped) lines of output: they came faster than they could be handled"
            onOutput(
                ContextOutput(
                    address: address, route: runtime.route(to: address), pipe: .error, bytes: Array(text.utf8)))
        }
    }
}
