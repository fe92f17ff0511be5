import Martlet

/// Why the hub could not do for a host what a command does by itself: it has no terminal to ask at, and is in another directory.
enum HubRefusal: Error, Equatable, CustomStringConvertible {
    case asks
    case otherRuntime
    case staysOnMachine
    case gateways
    /// What is found only from the directory that we are in.
    case relative(String)

    init?(_ way: WayIn, _ host: HostName) {
        let hops = way.route(to: host).hops
        if way.prompts != nil {
            self = .asks
        } else if way.python != nil || way.retryPolicy != nil {
            self = .otherRuntime
        } else if hops.allSatisfy(\.staysOnMachine) {
            // There it matters where a command begins.
            self = .staysOnMachine
        } else if !host.gateways.isEmpty, way.via == nil {
            // Which one it is depends on which of them live.
            self = .gateways
        } else if let name = hops.lazy.compactMap(Self.relative).first ?? Self.relative(sshOptions: way.options) {
            self = .relative(name)
        } else {
            return nil
        }
    }

    var description: String {
        switch self {
        case .asks:
            "it has no terminal to ask at, so that with -k, -K, --ask and the like each command connects by itself"
        case .otherRuntime: "it keeps only contexts whose runtime is the agent"
        case .staysOnMachine: "that is this machine, which needs no hub"
        case .gateways: "each command chooses among its gateways by itself; --via names one"
        case .relative(let name): "\(name) is found from this directory, and the hub is in another: name the whole path"
        }
    }

    // MARK: Relative paths

    private static func relative(_ hop: ConnectorSpec) -> String? {
        let kind = ConnectorKind.ofCommandLine.first { $0.name == hop.kind }
        if hop.kind == VagrantConnector.kind.name, !hop.options.contains(where: { $0.name == "dir" }) {
            return "the Vagrantfile of \(hop.label)"
        }
        if let argument = hop.argument, argument.contains("/"), !isWhole(argument) { return argument }
        for option in hop.options {
            guard let value = option.value else { continue }
            let isPath = kind?.options.contains { $0.name == option.name && $0.type == .path } ?? false
            if isPath || value.contains("/"), !isWhole(value) { return value }
        }
        guard hop.kind == SSHConnector.kind.name else { return nil }
        return relative(sshOptions: hop.options.filter { $0.name == "option" }.compactMap(\.value))
    }

    private static func isWhole(_ path: String) -> Bool { path.hasPrefix("/") || path.hasPrefix("~") }

    /// Those of ssh's options that are files, in lower case.
    private static let sshFiles: Set = [
        "certificatefile", "controlpath", "globalknownhostsfile", "identityagent", "identityfile", "revokedhostkeys",
        "userknownhostsfile",
    ]

    /// - Parameter options: each as `Name=value` or `Name value`. A value may be several paths.
    private static func relative(sshOptions options: [String]) -> String? {
        for option in options {
            let name = option.prefix { $0 != "=" && $0 != " " }
            guard sshFiles.contains(name.lowercased()) else { continue }
            let paths = option.dropFirst(name.count).split { " =\"".contains($0) }
            // %d and ${HOME} begin whole paths too.
            let relative = paths.first { !isWhole(String($0)) && !"%$".contains($0.first!) && $0 != "none" }
            if let relative { return String(relative) }
        }
        return nil
    }
}
