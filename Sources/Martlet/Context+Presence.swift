import MartletLink
import MartletWire
import Synchronization

extension Context {
    /// The number of this process's child that leads to it; `nil` where none does.
    package var firstChild: UInt32? { node.address.childNumber(towards: address) }

    /// Whether the link that leads to it is still there. Of what lies behind another context it says nothing.
    package var hasLink: Bool { firstChild.map { node.link(to: .child($0)) != nil } ?? false }

    /// Whether it lies behind another context, so that our own link does not say whether it lives.
    package var isBehindAnother: Bool { address.parent != node.address }

    /// Whether it is lost for certain. One that lies behind another is asked: a context on the way that knows better answers at
    /// once, and of one that is silent only the heartbeats of its link can tell.
    ///
    /// - Parameter limit: how long the answer is waited for. Default: 3 s.
    package func isGone(within limit: Duration = .seconds(3)) async -> Bool {
        guard hasLink else { return true }
        guard isBehindAnother else { return false }
        do { _ = try await ping(deadline: limit) } catch { return (error as? MartletError)?.code == .contextLost }
        return false
    }

    /// Whether it answers in time.
    ///
    /// - Throws: `CancellationError` if the caller is cancelled: that says nothing of a context that others work in.
    package func answers(within limit: Duration) async throws -> Bool {
        guard hasLink else { return false }
        do { _ = try await ping(deadline: limit) } catch {
            try Task.checkCancellation()
            return false
        }
        return true
    }

    /// How many bytes have gone over that link, in each direction; `nil` if it is not there.
    package var traffic: (sent: UInt64, received: UInt64)? {
        firstChild.flatMap { node.link(to: .child($0)) }?.traffic
    }

    /// The same, 0 if it is not there.
    package var linkTraffic: (sent: UInt64, received: UInt64) { traffic ?? (0, 0) }
}
