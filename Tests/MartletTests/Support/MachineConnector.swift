import Martlet

/// A way into a place that a command leads to, as `nsenter` into a throw-away machine: what stands behind it runs the
/// bootstrap line as `ssh host` would.
struct CommandConnector: Connector {
    var command: [String]
    var label = "machine"

    func launch(_ bootstrap: Bootstrap) -> Launch { .shell(command + [bootstrap.line]) }
}

extension Connector where Self == CommandConnector {
    /// The way of a command, to which the bootstrap line is added as the last argument.
    static func command(_ command: [String], label: String = "machine") -> CommandConnector {
        CommandConnector(command: command, label: label)
    }
}
