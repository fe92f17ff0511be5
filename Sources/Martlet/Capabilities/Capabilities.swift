import MartletLink
import MartletWire
import Synchronization

/// Something in this context that others may call if they were given its token.
package protocol Invocable: AnyObject, Sendable {
    /// - Returns: as ``InvocationAnswer`` makes it.
    nonisolated(nonsending) func answer(_ invocation: Invocation) async -> [UInt8]
}

/// A call of an ``Invocable``, as it came.
package struct Invocation: Sendable {
    /// What of it is called: a name that means something to it alone.
    package var target: String
    package var arguments: ArraySlice<UInt8>
    /// Whether the caller may tell this context what to do. All others are believed nothing.
    package var isFromAbove: Bool
    package var runtime: ContextRuntime
}

/// What this context lets others call, by token.
///
/// A token is good for any number of calls by anybody who shows it, until it is withdrawn.
package final class Capabilities: Sendable {
    /// How many there may be.
    package static let limit = 65_536
    /// What the callers behind one neighbour, which are not above, may have under way here, in bytes.
    package static let callLimit = 16 << 20
    package static let unknownToken = "there is no actor of that token here, or not any more"

    private struct State {
        var invocables: [ChannelToken: any Invocable] = [:]
        /// By the child on the way to the caller; 0 for the parent.
        var reserved: [UInt32: Int] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Lets others call it.
    ///
    /// - Returns: `false` if there are too many, or the context is ending.
    package func grant(_ invocable: any Invocable, _ token: ChannelToken) -> Bool {
        state.withLock { state in
            guard !state.isClosed, state.invocables.count < Self.limit else { return false }
            state.invocables[token] = invocable
            return true
        }
    }

    /// From now on nobody can call it. Calls that are under way go on.
    package func withdraw(_ token: ChannelToken) {
        let invocable = state.withLock { $0.invocables.removeValue(forKey: token) }
        withExtendedLifetime(invocable) {}
    }

    package func find(_ token: ChannelToken) -> (any Invocable)? { state.withLock { $0.invocables[token] } }

    /// How many there are.
    package var count: Int { state.withLock { $0.invocables.count } }

    /// What is reserved, in bytes. For tests.
    package var reservedCount: Int { state.withLock { $0.reserved.values.reduce(0, +) } }

    /// The context ends.
    func close() {
        let invocables = state.withLock { state in
            state.isClosed = true
            defer { state.invocables = [:] }
            return state.invocables
        }
        withExtendedLifetime(invocables) {}
    }

    // MARK: Calls of others

    /// Answers a stream of kind `invoke`: its payload is a token and a ``CallRequest``, or the beginning of one.
    func accept(
        _ key: StreamKey, _ payload: UnsafeRawBufferPointer, isComplete: Bool, _ runtime: ContextRuntime
    ) -> Result<IncomingCall, StreamRefusal> {
        let count = ChannelToken.byteCount
        guard payload.count >= count, let token = ChannelToken(UnsafeRawBufferPointer(rebasing: payload[..<count])),
            let invocable = find(token)
        else { return .failure(StreamRefusal(.refused, Self.unknownToken)) }
        let rest = UnsafeRawBufferPointer(rebasing: payload[count...])
        let isFree = key.opener.isAncestor(of: runtime.node.address)
        guard isFree || reserve(rest.count, for: key.opener, runtime) else {
            return .failure(StreamRefusal(.limitExceeded, "too much of actors' calls is under way here"))
        }
        return .success(
            IncomingCall(
                key, rest, isComplete: isComplete, scope: runtime, invocable: invocable,
                reserved: isFree ? 0 : rest.count))
    }

    /// - Returns: `false` if the callers behind the same neighbour have too much here already.
    func reserve(_ count: Int, for caller: ContextAddress, _ runtime: ContextRuntime) -> Bool {
        let share = runtime.node.address.childNumber(towards: caller) ?? 0
        return state.withLock { state in
            guard state.reserved[share, default: 0] + count <= Self.callLimit else { return false }
            state.reserved[share, default: 0] += count
            return true
        }
    }

    /// The call is over.
    func release(_ count: Int, from caller: ContextAddress, _ runtime: ContextRuntime) {
        let share = runtime.node.address.childNumber(towards: caller) ?? 0
        state.withLock { state in
            let rest = state.reserved[share, default: 0] - count
            state.reserved[share] = rest > 0 ? rest : nil
        }
    }
}
