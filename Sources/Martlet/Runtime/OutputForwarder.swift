import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// Sends lines to the controller, over one stream that is opened with the first line.
///
/// A message is a pipe's byte (1 or 2), the length of the address of the context that wrote (one byte), the address, and
/// the line. What the stream has no credit for waits here, up to a limit; lines beyond it are counted and said.
final class OutputForwarder: StreamOwner {
    private static let limit = 256 * 1024

    private let node: ContextNode
    private let state = Mutex(State())

    private struct State {
        var key: StreamKey?
        var waiting = Deque<[UInt8]>()
        var waitingBytes = 0
        var dropped = 0
        var isOver = false
    }

    init(_ node: ContextNode) { self.node = node }

    /// Whether the reader of a pipe should pause until ``onRoom`` is called.
    func send(_ output: ContextOutput) {
        send(Self.message(output.pipe, output.address, output.bytes))
    }

    private static func message(_ pipe: OutputLine.Pipe, _ address: ContextAddress, _ line: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [pipe == .output ? 1 : 2, UInt8(address.byteCount)]
        bytes.append(addingCapacity: address.byteCount) { address.write(to: $0) }
        return bytes + line.prefix(FrameHeader.maximumPayload - 64)
    }

    static func parse(_ bytes: [UInt8]) -> (OutputLine.Pipe, ContextAddress, [UInt8])? {
        guard bytes.count >= 2, bytes[0] == 1 || bytes[0] == 2, bytes.count >= 2 + Int(bytes[1]) else { return nil }
        let end = 2 + Int(bytes[1])
        let address = bytes.withUnsafeBytes { ContextAddress(wire: UnsafeRawBufferPointer(rebasing: $0[2..<end])) }
        return address.map { (bytes[0] == 1 ? .output : .error, $0, Array(bytes[end...])) }
    }

    private func send(_ message: [UInt8]) {
        let key = state.withLock { state -> StreamKey? in
            guard !state.isOver else { return nil }
            if state.key == nil {
                state.key = node.open(to: .root, .output, owner: self, payload: [], flags: .bulk)
            }
            guard state.waitingBytes + message.count <= Self.limit else {
                state.dropped += 1
                return nil
            }
            state.waiting.append(message)
            state.waitingBytes += message.count
            return state.key
        }
        if let key { drain(key) }
    }

    private func drain(_ key: StreamKey) {
        state.withLock { state in
            while let message = state.waiting.first {
                guard case .sent = message.withUnsafeBytes({ node.sendData(key, $0, flags: .bulk) }) else { return }
                state.waiting.removeFirst()
                state.waitingBytes -= message.count
            }
            guard state.dropped > 0 else { return }
            let note = Self.message(
                .error, node.address, Array("martlet: dropped \(state.dropped) lines of output".utf8))
            if case .sent = note.withUnsafeBytes({ node.sendData(key, $0, flags: .bulk) }) { state.dropped = 0 }
        }
    }

    /// Whether nothing waits to be sent.
    var isDrained: Bool { state.withLock { $0.waiting.isEmpty } }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}

    func creditArrived() {
        if let key = state.withLock({ $0.key }) { drain(key) }
    }

    func wasReset(_ reason: ResetReason) { state.withLock { $0.isOver = true } }
}
