import Martlet

extension GroupHost {
    /// How the way to it begins, before it is connected.
    var way: JointWay {
        if let gateways {
            let gateway = gateways.set.gateway(of: gateways.member)
            // Of gateways behind each other the outermost.
            let way = gateway.way
            return way == .alone ? .gateway(ObjectIdentifier(gateway)) : way
        }
        switch (spec.way, origin) {
        case (.custom, _): return .unknown
        case (.context(let context), _): return context.way
        case (.connectors, .context(let context)): return context.firstLink
        case (.connectors, .controller): return .alone
        }
    }

    /// How it begins, now that it is connected.
    func way(to context: Context) -> JointWay {
        let way = way
        return way == .unknown ? context.way : way
    }
}

extension Context {
    fileprivate var way: JointWay { isBehindAnother ? firstLink : .alone }

    fileprivate var firstLink: JointWay {
        firstChild.map { .link(ObjectIdentifier(runtime), $0) } ?? .alone
    }
}
