import MartletLink
import MartletWire
import Synchronization

/// The controller's end of a context's output or log.
final class IncomingMessages: AcceptedStreamOwner {
    let key: StreamKey
    private let intake: MessageIntake
    private let runtime: ContextRuntime
    private let isOver = Mutex(false)

    init(_ key: StreamKey, _ intake: MessageIntake, runtime: ContextRuntime) {
        self.key = key
        self.intake = intake
        self.runtime = runtime
    }

    /// The program has taken a payload of that size.
    func consumed(_ count: Int) {
        // The key may be another stream's as soon as this one's end was heard of here.
        isOver.withLock { if !$0 { runtime.node.consumed(key, payload: count) } }
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let child = runtime.node.address.childNumber(towards: key.opener) ?? 0
        intake.add(payload, isData: kind == .data, self, from: child, runtime)
    }

    func wasReset(_ reason: ResetReason) { isOver.withLock { $0 = true } }
}
