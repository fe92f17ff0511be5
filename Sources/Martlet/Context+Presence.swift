import MartletLink
import MartletWire

extension Context {
    /// Whether the link that leads to it is still there. Of what lies behind another context it says nothing.
    package var hasLink: Bool {
        guard let number = node.address.childNumber(towards: address) else { return false }
        return node.link(to: .child(number)) != nil
    }
}
