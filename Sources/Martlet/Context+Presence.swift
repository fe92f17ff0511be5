import MartletLink
import MartletWire
import Synchronization

extension Context {
    /// Whether the link that leads to it is still there. Of what lies behind another context it says nothing.
    package var hasLink: Bool {
        guard let number = node.address.childNumber(towards: address) else { return false }
        return node.link(to: .child(number)) != nil
    }

    /// Whether it lies behind another context, so that our own link does not say whether it lives.
    package var isBehindAnother: Bool { address.parent != node.address }

    /// Whether it is lost for certain: one that lies behind another is asked, and may be late to answer.
    ///
    /// - Parameter limit: how long it has. Default: somewhat more than a silent link lives by default.
    package func isGone(within limit: Duration = .seconds(20)) async -> Bool {
        guard hasLink else { return true }
        guard isBehindAnother else { return false }
        do { _ = try await ping(deadline: limit) } catch { return (error as? MartletError)?.code == .contextLost }
        return false
    }

    /// How many bytes have gone over that link, in each direction; `nil` if it is not there.
    package var traffic: (sent: UInt64, received: UInt64)? {
        guard let number = node.address.childNumber(towards: address), let link = node.link(to: .child(number)) else {
            return nil
        }
        return link.traffic
    }

    /// The same, 0 if it is not there.
    package var linkTraffic: (sent: UInt64, received: UInt64) { traffic ?? (0, 0) }
}
