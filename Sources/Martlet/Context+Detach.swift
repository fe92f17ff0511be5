import MartletLink
import MartletReactor
import MartletWire

/// A context that lives on without any controller for a time: see ``Context/detach(lease:)``.
///
/// It can be stored, and is a secret: who has it and is the context's user, or root, on its machine may take the context.
public struct DetachedContext: Codable, Sendable, Hashable, CustomStringConvertible {
    let place: DetachedPlace
    /// How it was reached.
    public let route: Route
    /// What it said of the machine when it came up.
    public let facts: Facts

    /// Without what entitles to it.
    public var description: String { "detached context, process \(facts.processID) [\(route)]" }
}

extension Context {
    /// Lets the context live on by itself, so that it outlives this program and its connection.
    ///
    /// Tasks and programs that run in it go on; what they print is kept, the last mebibyte of it, and so are its log records,
    /// the first thousand. Calls and channels that are under way end here with `contextDetached`; contexts below it are
    /// closed. Until it is attached again (``attach(_:options:)``) it waits on a socket that only its user and root can
    /// reach. It ends, with all that it has started, when nobody has come by the end of the lease; where the system ends
    /// what users leave behind (`KillUserProcesses` of systemd-logind), also then.
    ///
    /// - Parameter lease: how long it waits for somebody to attach.
    /// - Throws: ``MartletError`` `contextLost`, `noPlace` if there is no private place for the socket, `misuse`.
    public func detach(lease: Duration) async throws -> DetachedContext {
        guard lease > .zero else { throw MartletError(.misuse, "a lease must be longer than nothing", route: route) }
        let request = IncomingDetach.Request(lease: max(1, lease.clampedNanoseconds / 1_000_000))
        let child = address.parent == node.address ? node.address.childNumber(towards: address) : nil
        let front = child.flatMap { runtime.child($0) }
        let answer = try await ask(.detach, CBOREncoder().encode(request), "detach", .seconds(15))
        guard let end = try? CBORDecoder().decode(DetachEnd.self, from: answer) else {
            throw MartletError(.protocolViolation, "the answer to detach cannot be read", route: route)
        }
        if var failure = end.failure {
            failure.route = route
            throw failure
        }
        guard let place = end.place else { throw ResetError(reason: .notConnected).error(route, "detach") }
        // Nothing of the way there is left when this returns.
        await front?.untilGone()
        await bridge?.close()
        return DetachedContext(place: place, route: route, facts: facts)
    }

    /// Takes a detached context of this context's machine up again: from now on it is a context below this one, and ends
    /// with its link as any other does, unless it is detached again. What it has printed meanwhile is output of the new
    /// context.
    ///
    /// - Throws: ``MartletError`` `leaseEnded` if it is not there any more; `refused` if it does not know the id, belongs to
    ///   another user, or another controller is attached; as ``connect(_:options:prompts:onPhase:)`` otherwise.
    public func attach(_ detached: DetachedContext, options: ConnectOptions = .init()) async throws -> Context {
        try await connect(DetachedConnector(place: detached.place, userID: detached.facts.userID), options: options)
    }
}

extension Controller {
    /// Takes a detached context up again, through the same way in by which it was reached: a small context is started there
    /// that lends it its link, and that is closed with it.
    ///
    /// - Throws: as ``connect(_:options:prompts:onPhase:)`` and ``Context/attach(_:options:)``.
    public func attach(
        _ detached: DetachedContext,
        through connector: some Connector,
        options: ConnectOptions = .init()
    ) async throws -> Context {
        let bridge = try await connect(connector, options: options)
        do {
            let context = try await bridge.attach(detached, options: options)
            return Context(
                address: context.address, route: context.route, facts: context.facts, timings: bridge.timings,
                runtime: runtime, bridge: bridge)
        } catch {
            await bridge.close()
            throw error
        }
    }
}
