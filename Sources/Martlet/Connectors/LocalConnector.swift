/// A context in a process of its own on the same machine. Nothing is sent: the program's own executable is started again.
public struct LocalConnector: Connector {
    /// How the process is started.
    public var options: LocalOptions

    /// A process started with `options`.
    public init(options: LocalOptions = .init()) { self.options = options }

    /// `local`.
    public var label: String { "local" }
    /// This program's image.
    public func launch(_ bootstrap: String) -> Launch {
        var options = options
        options.directory = options.directory?.expandingHome
        return .image(options)
    }
}

extension Connector where Self == LocalConnector {
    /// A context in a process of its own on the same machine.
    public static var local: LocalConnector { LocalConnector() }

    /// A context in a process of its own on the same machine.
    public static func local(_ options: LocalOptions) -> LocalConnector { LocalConnector(options: options) }
}
