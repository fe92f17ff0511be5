package import Martlet

/// A way into a place that a command leads to, as `nsenter` into a throw-away machine: what stands behind it runs the
/// bootstrap line as `ssh host` would.
package struct CommandConnector: Connector {
    package var command: [String]
    package var label: String

    package init(command: [String], label: String = "machine") { (self.command, self.label) = (command, label) }

    package func launch(_ bootstrap: Bootstrap) -> Launch { .shell(command + [bootstrap.line]) }
}

extension Connector where Self == CommandConnector {
    /// The way of a command, to which the bootstrap line is added as the last argument.
    package static func command(_ command: [String], label: String = "machine") -> CommandConnector {
        CommandConnector(command: command, label: label)
    }
}
