import MartletLink
import MartletWire

/// Answers at once with what was sent, on the I/O side: it tells the round trip while every thread is busy.
final class IncomingEcho: AcceptedStreamOwner {
    /// The longest payload, in bytes. Answers are on nobody's credit: whoever asks and does not read would make us keep
    /// them.
    static let limit = 256

    private let key: StreamKey
    private let payload: [UInt8]
    private let node: ContextNode

    init(_ key: StreamKey, _ payload: UnsafeRawBufferPointer, node: ContextNode) {
        self.key = key
        self.payload = Array(payload)
        self.node = node
    }

    func begin() { node.sendEnd(key, payload) }
    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func wasReset(_ reason: ResetReason) {}
}
