import MartletLink
import MartletWire
import Synchronization

extension Context {
    /// Whether the link that leads to it is still there. Of what lies behind another context it says nothing.
    package var hasLink: Bool {
        guard let number = node.address.childNumber(towards: address) else { return false }
        return node.link(to: .child(number)) != nil
    }

    /// How many bytes have gone over that link, in each direction; `nil` if it is not there.
    package var traffic: (sent: UInt64, received: UInt64)? {
        guard let number = node.address.childNumber(towards: address), let link = node.link(to: .child(number)) else {
            return nil
        }
        return (link.outgoing.withLock { $0.bytesWritten }, link.hearing.withLock { $0.bytesRead })
    }
}
