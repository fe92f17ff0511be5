import MartletReactor
import MartletWire

extension ChannelEnd {
    /// Sends an item from code that cannot suspend, blocking the thread while there is no room. What cannot be sent, because
    /// the channel is closed, is dropped.
    func sendBlocking(_ item: Outgoing) {
        var bytes: [UInt8] = [0, 0, 0, 0]
        guard (try? CBOREncoder().encode(item, into: &bytes)) != nil else { return }
        let count = UInt32(bytes.count - ChannelBuffer.headCount)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: count.bigEndian, as: UInt32.self) }
        while case .full = handle.pipe.write(bytes, from: handle.side, waiter: nil) {
            let waiter = ChannelWaiter()
            guard case .full = handle.pipe.write(bytes, from: handle.side, waiter: waiter) else { return }
            waiter.waitBlocking()
        }
    }
}
