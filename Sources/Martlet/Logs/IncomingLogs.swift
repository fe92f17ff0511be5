import MartletLink
import MartletWire

/// The controller's end of a context's log.
final class IncomingLogs: AcceptedStreamOwner {
    private let key: StreamKey
    private let runtime: ContextRuntime

    init(_ key: StreamKey, runtime: ContextRuntime) {
        self.key = key
        self.runtime = runtime
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        let child = runtime.node.address.childNumber(towards: key.opener) ?? 0
        if !runtime.logs.add(payload, kind, key, from: child, runtime), kind == .data {
            runtime.node.consumed(key, payload: payload.count)
        }
    }

    func wasReset(_ reason: ResetReason) {}
}
