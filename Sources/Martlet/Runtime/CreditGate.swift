import MartletWire
import Synchronization

/// Lets tasks wait until a stream has credit, or is over.
package final class CreditGate: Sendable {
    private let state = Mutex(State())

    private struct State {
        /// Counts what has happened, so that credit that comes between looking and waiting is not missed.
        var generation: UInt64 = 0
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    /// To be asked before the attempt that found no credit.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Waits until the gate was opened after `generation` was read.
    package func wait(since generation: UInt64) async {
        await withUnsafeContinuation { continuation in
            let isNow = state.withLock { state in
                guard state.generation == generation else { return true }
                state.waiters.append(continuation)
                return false
            }
            if isNow { continuation.resume() }
        }
    }

    package init() {}

    package func open() {
        let waiters = state.withLock { state in
            state.generation += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

extension ContextNode {
    /// Sends a message of any size in parts, waiting for credit.
    ///
    /// - Parameter end: the message is the stream's last, of that kind.
    /// - Returns: `false` if the stream ended meanwhile.
    func sendMessage(
        _ key: StreamKey,
        _ bytes: [UInt8],
        from start: Int = 0,
        end: Bool,
        gate: CreditGate
    ) async -> Bool {
        var offset = start
        while true {
            let rest = bytes.count - offset
            if end, rest <= FrameHeader.maximumPayload {
                let flags: FrameHeader.Flags = offset == 0 ? [] : .bulk
                return sendEnd(key, offset == 0 ? bytes : Array(bytes[offset...]), flags: flags)
            }
            let generation = gate.generation
            guard let room = sendablePayload(key) else { return false }
            // Small pieces would waste frames: wait for a whole one.
            let count = min(rest, FrameHeader.maximumPayload)
            if room >= count {
                let flags: FrameHeader.Flags = count < rest || end ? [.more, .bulk] : [.bulk]
                let result = bytes.withUnsafeBytes {
                    sendData(key, UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]), flags: flags)
                }
                switch result {
                case .closed: return false
                case .noCredit: break
                case .sent:
                    offset += count
                    if offset == bytes.count, !end { return true }
                    continue
                }
            }
            await gate.wait(since: generation)
        }
    }
}
