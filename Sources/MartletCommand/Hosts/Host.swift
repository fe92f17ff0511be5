import Martlet

/// One of the hosts of a command, with its place in the list: a host that is named twice is there twice.
struct Host: Sendable, Hashable {
    var index: Int
    var name: HostName
    /// How it is called in what is printed: its text, with a number if it is there more than once.
    var label: String

    static func list(_ names: [HostName]) -> [Host] {
        var total: [String: Int] = [:]
        for name in names { total[name.text, default: 0] += 1 }
        var seen: [String: Int] = [:]
        return names.enumerated().map { index, name in
            seen[name.text, default: 0] += 1
            let label = total[name.text]! > 1 ? "\(name.text)#\(seen[name.text]!)" : name.text
            return Host(index: index, name: name, label: label)
        }
    }
}

/// How a host is reached: ssh options that hold for all hosts of a command.
struct WayIn: Sendable {
    var user: String?
    var identity: String?
    var configuration: String?
    var options: [String] = []
    var connect = ConnectOptions()
    /// What to try when the host has no place for the agent under the policy of ``connect``.
    var retryPolicy: ImagePolicy?

    func connector(_ host: HostName) -> SSHConnector {
        SSHConnector(
            host.name,
            user: host.user ?? user,
            port: host.port,
            identity: identity,
            configuration: configuration,
            options: options
        )
    }

    func connect(
        _ controller: Controller,
        to host: HostName,
        onPhase: (@Sendable (ConnectPhase, Duration) -> Void)? = nil
    ) async throws -> Context {
        if host.isLocal { return try await controller.connect(.local, options: connect, onPhase: onPhase) }
        do {
            return try await controller.connect(connector(host), options: connect, onPhase: onPhase)
        } catch let error as MartletError where error.code == .noPlace {
            guard let retryPolicy else { throw error }
            var options = connect
            options.policy = retryPolicy
            return try await controller.connect(connector(host), options: options, onPhase: onPhase)
        }
    }
}
