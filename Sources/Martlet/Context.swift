import MartletLink
public import MartletWire

/// A context that this process may tell what to do: a process somewhere that runs a copy of this program.
///
/// It lives until ``close(within:)``, until the scope that connected it ends, or until it is lost; nothing that it
/// started outlives it, unless ``detach(lease:)`` says so.
public final class Context: Sendable {
    /// Its place in the tree.
    public let address: ContextAddress
    /// How it was reached.
    public let route: Route
    /// What it said of the machine when it came up.
    public let facts: Facts
    /// How long each phase of the connect took.
    public let timings: ConnectTimings
    package let runtime: ContextRuntime
    /// A context that is there for this one alone.
    let bridge: Context?

    init(
        address: ContextAddress, route: Route, facts: Facts, timings: ConnectTimings, runtime: ContextRuntime,
        bridge: Context? = nil
    ) {
        self.bridge = bridge
        self.address = address
        self.route = route
        self.facts = facts
        self.timings = timings
        self.runtime = runtime
        runtime.note(route, of: address)
    }

    /// A context of which only the address is known here, for as long as a call takes.
    init(below runtime: ContextRuntime, _ address: ContextAddress) {
        (self.address, self.runtime, bridge) = (address, runtime, nil)
        route = runtime.route(to: address)
        timings = ConnectTimings()
        facts = Facts(
            system: "", release: "", architecture: "", hostname: "", user: "", userID: 0, processID: 0, processors: 0,
            memory: 0)
    }

    package var node: ContextNode { runtime.node }
}

extension Context: CustomStringConvertible {
    /// The route.
    public var description: String { "\(route)" }
}
