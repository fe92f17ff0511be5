import MartletLink
import MartletWire

@testable import Martlet

extension Context {
    /// The bytes that have crossed the controller's link towards this context.
    var linkTraffic: (sent: UInt64, received: UInt64) {
        guard let number = node.address.childNumber(towards: address) else { return (0, 0) }
        return node.link(to: .child(number))?.traffic ?? (0, 0)
    }

    /// The number of the process that the context is.
    var processID: Int32 { facts.processID }
}
