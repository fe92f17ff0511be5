import MartletLink
import MartletWire
import Synchronization

/// A question from below for something that was offered.
final class IncomingFetch: AcceptedStreamOwner {
    let token: ChannelToken
    let name: String
    private let key: StreamKey
    private let runtime: ContextRuntime
    private let gate = CreditGate()
    private let state = Mutex(false)

    /// - Throws: what is no question.
    init(
        _ key: StreamKey, _ payload: UnsafeRawBufferPointer, runtime: ContextRuntime
    ) throws(StreamRefusal) {
        let name = payload.dropFirst(ChannelToken.byteCount)
        guard let token = ChannelToken(.init(rebasing: payload.prefix(ChannelToken.byteCount))),
            (1...ResourceOffers.nameLimit).contains(name.count), let text = String(validating: name, as: UTF8.self)
        else { throw StreamRefusal(.protocolViolation, "a fetch that cannot be read") }
        self.token = token
        self.name = text
        self.key = key
        self.runtime = runtime
    }

    /// Who asks.
    var reader: ContextAddress { key.opener }
    var isOver: Bool { state.withLock { $0 } }

    func begin() {
        runtime.resources.add(self, from: runtime.node.address.childNumber(towards: key.opener) ?? 0, runtime)
    }

    nonisolated(nonsending) func send(_ answer: [UInt8], _ node: ContextNode) async {
        if answer.count > MessageAssembly.limit {
            node.reset(key, .valueTooLarge)
        } else {
            _ = await node.sendMessage(key, answer, end: true, gate: gate)
        }
    }

    // MARK: StreamOwner

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func creditArrived() { gate.open() }
    func wasReset(_ reason: ResetReason) {
        state.withLock { $0 = true }
        gate.open()
    }
}
