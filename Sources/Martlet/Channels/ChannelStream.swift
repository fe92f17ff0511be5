import MartletLink
import MartletWire
import Synchronization

/// Joins one side of a channel to a stream that leads to another context.
final class ChannelStream: AcceptedStreamOwner {
    let pipe: ChannelPipe
    let side: ChannelPipe.Side
    private let runtime: ContextRuntime
    /// Behind a lock of its own: it is told while the node is locked.
    private let streamKey: Mutex<StreamKey?>
    /// The capability that the other context showed; `nil` if we showed ours.
    private let token: ChannelToken?

    /// The claiming end: opens the stream.
    init(_ pipe: ChannelPipe, _ side: ChannelPipe.Side, runtime: ContextRuntime) {
        self.pipe = pipe
        self.side = side
        self.runtime = runtime
        token = nil
        streamKey = Mutex(nil)
    }

    /// The end that was offered.
    init(
        _ key: StreamKey, _ token: ChannelToken, _ pipe: ChannelPipe, _ side: ChannelPipe.Side, runtime: ContextRuntime
    ) {
        self.pipe = pipe
        self.side = side
        self.runtime = runtime
        self.token = token
        streamKey = Mutex(key)
    }

    var node: ContextNode { runtime.node }
    var key: StreamKey? { streamKey.withLock { $0 } }

    func opened(_ key: StreamKey) { streamKey.withLock { $0 = key } }

    func begin() {
        // Now, not before: an offer that was taken for a stream that never began would be lost.
        guard let token, runtime.channels.claim(token) else {
            if let key { node.reset(key, ResetReason(.refused, ChannelOffers.unknownToken)) }
            return
        }
        pipe.attach(self, at: side)
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        if kind == .end {
            pipe.ended(ChannelPipe.Ending(wire: payload), at: self)
        } else {
            pipe.received(payload, at: self)
        }
    }

    func creditArrived() { pipe.creditArrived(at: self) }
    func wasReset(_ reason: ResetReason) { pipe.lost(reason, at: self) }
}
