import MartletLink
import MartletWire

/// The controller's end of a context's output: hands lines to the user's handler as they come.
final class IncomingOutput: AcceptedStreamOwner {
    private let key: StreamKey
    private let runtime: ContextRuntime
    private let onOutput: @Sendable (ContextOutput) -> Void

    init(_ key: StreamKey, runtime: ContextRuntime, onOutput: @escaping @Sendable (ContextOutput) -> Void) {
        self.key = key
        self.runtime = runtime
        self.onOutput = onOutput
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {
        defer { runtime.node.consumed(key, payload: payload.count) }
        // A context speaks for itself and for those below it.
        guard let (pipe, address, line) = OutputForwarder.parse(Array(payload)),
            address == key.opener || key.opener.isAncestor(of: address)
        else { return }
        onOutput(ContextOutput(address: address, route: runtime.route(to: address), pipe: pipe, bytes: line))
    }

    func wasReset(_ reason: ResetReason) {}
}
